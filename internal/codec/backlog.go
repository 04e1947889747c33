package codec

import (
	"sync/atomic"

	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc/mem"
)

// Requests is a Codec for one stream of requests. It knows how much gRPC still has to write of them. The zero value is
// not ready for use: see NewRequests.
type Requests struct {
	Codec

	unsent backlog
}

// NewRequests returns a codec for a new stream.
func NewRequests() *Requests { return &Requests{Codec: New()} }

// Unsent returns the size in bytes of the encoded messages that gRPC has not written to the connection. A message
// counts until all of it is written.
func (r *Requests) Unsent() int64 { return r.unsent.bytes.Load() }

// Marshal encodes a message.
func (r *Requests) Marshal(v any) (mem.BufferSlice, error) {
	buf := Buffer()
	var fast bool
	if m, ok := v.(*pb.SessionRequest); ok {
		*buf, fast = AppendRequest(*buf, m)
	}
	if !fast {
		data, err := r.slow.Marshal(v)
		if err != nil {
			Recycle(buf)

			return nil, err
		}
		*buf = (*buf)[:0]
		for _, part := range data {
			*buf = append(*buf, part.ReadOnlyData()...)
		}
		data.Free()
	}
	r.unsent.bytes.Add(int64(len(*buf)))

	return mem.BufferSlice{mem.NewBuffer(buf, &r.unsent)}, nil
}

// backlog is the pool of buffers for the messages of one stream. It counts the bytes in the buffers that gRPC has.
type backlog struct{ bytes atomic.Int64 }

// Get returns an empty buffer.
func (b *backlog) Get(int) *[]byte { return Buffer() }

// Put takes back the buffer of a message that is written.
func (b *backlog) Put(buf *[]byte) {
	b.bytes.Add(-int64(len(*buf)))
	Recycle(buf)
}
