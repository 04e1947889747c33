// Package codec encodes and decodes the frequent messages of a session stream without reflection and with few
// allocations. It leaves all other messages to package proto. Both accept and produce the same bytes.
package codec

import (
	"sync"

	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec for all other messages
	"google.golang.org/grpc/mem"
)

// Codec encodes and decodes messages of any type for gRPC, with the options [grpc.ForceCodecV2] and
// [grpc.ForceServerCodecV2]. It is fast for SessionRequest and SessionResponse.
//
// RecvMsg also accepts an [*Incoming], a [*Request] or a [*Response], which it reuses, and a [*Raw].
type Codec struct{ slow encoding.CodecV2 }

var _ encoding.CodecV2 = Codec{}

// New returns a codec.
func New() Codec { return Codec{slow: encoding.GetCodecV2("proto")} }

// Name returns the name of the encoding on the wire.
func (c Codec) Name() string { return c.slow.Name() }

// Marshal encodes a message.
func (c Codec) Marshal(v any) (mem.BufferSlice, error) {
	buf := Buffer()
	var fast bool
	switch m := v.(type) {
	case *Raw:
		Recycle(buf)

		return m.Data, nil
	case *pb.SessionRequest:
		*buf, fast = AppendRequest(*buf, m)
	case *pb.SessionResponse:
		*buf, fast = appendResponse(*buf, m)
	}
	if !fast {
		Recycle(buf)

		return c.slow.Marshal(v)
	}

	return Slice(buf), nil
}

// Unmarshal decodes a message. Only a Raw keeps a reference to data.
func (c Codec) Unmarshal(data mem.BufferSlice, v any) error {
	if raw, ok := v.(*Raw); ok {
		return raw.take(data)
	}
	var whole mem.Buffer
	large := data.Len() >= largeMessage
	if large {
		whole = mem.SliceBuffer(data.Materialize())
	} else {
		whole = data.MaterializeToBuffer(mem.DefaultBufferPool())
	}
	defer whole.Free()
	b := whole.ReadOnlyData()
	if in, ok := v.(*Incoming); ok {
		v = in.take()
	}
	switch m := v.(type) {
	case *pb.SessionRequest:
		var r Request
		if r.decode(b, large, m) {
			return nil
		}
	case *pb.SessionResponse:
		var r Response
		if r.decode(b, m) {
			return nil
		}
	case *Request:
		if m.decode(b, large, &m.Message) {
			return nil
		}
		v = &m.Message
	case *Response:
		if m.decode(b, &m.Message) {
			return nil
		}
		v = &m.Message
	}

	return c.slow.Unmarshal(mem.BufferSlice{whole}, v) // which would copy data once more
}

// largeMessage is the size from which the data in a request is not copied out of the message: a large copy takes longer
// than everything else that is done with the request.
const largeMessage = 64 << 10

// bufferSize is the capacity of a new buffer. gRPC returns only buffers above 1 KiB to their pool.
const bufferSize = 1<<10 + 1<<8

// maxBufferSize is the capacity of the largest buffer that the pool keeps.
const maxBufferSize = 16 << 10

var buffers mem.BufferPool = &pool{sync.Pool{New: func() any { return new(make([]byte, 0, bufferSize)) }}}

// pool is a pool of buffers for messages whose size is not known before they have been encoded.
type pool struct{ free sync.Pool }

// Get returns an empty buffer.
func (p *pool) Get(int) *[]byte { return p.free.Get().(*[]byte) }

// Put takes back a buffer.
func (p *pool) Put(buf *[]byte) {
	if cap(*buf) <= maxBufferSize {
		*buf = (*buf)[:0]
		p.free.Put(buf)
	}
}

// Buffer returns an empty buffer for a message, to which the caller may append. The caller passes it to Slice or to
// Recycle.
func Buffer() *[]byte { return buffers.Get(0) }

// Recycle puts back a buffer that is not needed.
func Recycle(buf *[]byte) { buffers.Put(buf) }

// Slice returns the contents of a buffer for gRPC, which puts the buffer back when it has been sent.
func Slice(buf *[]byte) mem.BufferSlice { return mem.BufferSlice{mem.NewBuffer(buf, buffers)} }
