package wire

import (
	"google.golang.org/grpc/mem"

	"tenure/internal/codec"
	"tenure/internal/node"
	"tenure/internal/turns"
)

// Codec is a codec for a server. It encodes messages of package proto, and also what Response converts to a message:
// the replies of a node, Ping and Pong. It encodes the frequent ones without the message. It decodes only a few large
// messages at the same time.
type Codec struct {
	codec.Codec

	turns *turns.Turns
}

// NewCodec returns a codec. The turns are those of the server; nil: it decodes all messages at the same time.
func NewCodec(t *turns.Turns) Codec { return Codec{codec.New(), t} }

// Marshal encodes a message.
func (c Codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case *Sending:
		return c.marshalSending(m)
	case *Answer:
		return c.marshalAnswer(m)
	case Large:
		return c.marshalLarge(m)
	case *codec.Raw:
		return m.Data, nil
	}
	buf := codec.Buffer()
	if appendFrequent(buf, v) {
		return codec.Slice(buf), nil
	}
	codec.Recycle(buf)
	if m := Response(v); m != nil {
		v = m
	}

	return c.Codec.Marshal(v)
}

// appendFrequent encodes a frequent reply into an empty buffer. It returns false if v is something else.
func appendFrequent(buf *[]byte, v any) bool {
	switch m := v.(type) {
	case Ping:
		*buf = codec.AppendPing(*buf, codec.Ping, m.Opaque)
	case Pong:
		*buf = codec.AppendPing(*buf, codec.Pong, m.Opaque)
	case node.AcquirePending:
		*buf = codec.AppendPending(*buf, m.Req)
	case node.Acquired:
		if m.Issue == "" {
			*buf = codec.AppendResult(*buf, codec.AcquireResult, m.Req, Status(m.Status), m.Acquired)
		}
	case node.Released:
		if m.Issue == "" {
			*buf = codec.AppendResult(*buf, codec.ReleaseResult, m.Req, Status(m.Status), m.Released)
		}
	}

	return len(*buf) > 0
}
