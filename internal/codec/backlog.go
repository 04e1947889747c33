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

	unsent Backlog
}

// NewRequests returns a codec for a new stream.
func NewRequests() *Requests { return &Requests{Codec: New()} }

// Unsent returns the size in bytes of the encoded messages that gRPC has not written to the connection. A message
// counts until all of it is written.
func (r *Requests) Unsent() int64 { return r.unsent.Bytes() }

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

	return r.unsent.Slice(buf), nil
}

// A Backlog is the pool of buffers for the messages of one stream. It counts the bytes in the buffers that gRPC has.
// The zero value is ready for use. Its methods may be called concurrently.
type Backlog struct{ bytes atomic.Int64 }

// Bytes returns the count.
func (b *Backlog) Bytes() int64 { return b.bytes.Load() }

// Add adds n to the count, for bytes that are not in a buffer of the pool. A negative n takes them off again.
func (b *Backlog) Add(n int64) { b.bytes.Add(n) }

// Slice returns the encoded message in a buffer of the pool, which counts until it is put back.
func (b *Backlog) Slice(buf *[]byte) mem.BufferSlice {
	b.Add(int64(len(*buf)))

	return mem.BufferSlice{mem.NewBuffer(buf, b)}
}

// Get returns an empty buffer.
func (b *Backlog) Get(int) *[]byte { return Buffer() }

// Put takes back the buffer of a message that is written, or whose stream has ended.
func (b *Backlog) Put(buf *[]byte) {
	b.Add(-int64(len(*buf)))
	Recycle(buf)
}
