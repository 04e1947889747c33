package wire

import (
	"unicode/utf8"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"tenure/internal/codec"
	"tenure/internal/node"
)

// Receipt learns that a message has been sent.
type Receipt interface {
	// Sent is called when the message takes no memory any more. It is not called if the connection ends before.
	Sent()
}

// Answer is a large description. The encoded message holds the receipt until it has been sent.
type Answer struct {
	node.Described

	Size    int // estimate of the bytes of the message
	Receipt Receipt
}

// Large is a large answer to a unary call. It is like Answer.
type Large struct {
	proto.Message

	Receipt Receipt
}

// marshalAnswer encodes an answer.
func (c Codec) marshalAnswer(a *Answer) (mem.BufferSlice, error) {
	if a.Issue != "" || a.Semaphore == nil || !utf8.ValidString(a.Semaphore.Name) {
		return c.marshalLarge(Large{Response(a.Described), a.Receipt})
	}
	buf := make([]byte, 0, a.Size+a.Size/8)
	buf = appendDescribed(buf, a.Described)

	return Received(buf, a.Receipt), nil
}

func (c Codec) marshalLarge(m Large) (mem.BufferSlice, error) {
	buf, err := proto.Marshal(m.Message)
	if err != nil {
		return nil, err
	}

	return Received(buf, m.Receipt), nil
}

// Received returns the contents of a buffer for gRPC, with a receipt.
func Received(buf []byte, r Receipt) mem.BufferSlice {
	if mem.IsBelowBufferPoolingThreshold(cap(buf)) { // gRPC gives back only larger buffers
		r.Sent()

		return mem.BufferSlice{mem.SliceBuffer(buf)}
	}

	return mem.BufferSlice{mem.NewBuffer(&buf, receiptPool{r})}
}

// receiptPool is a pool that gets one buffer back, and drops it.
type receiptPool struct{ Receipt }

func (receiptPool) Get(length int) *[]byte { return new(make([]byte, length)) }

func (p receiptPool) Put(*[]byte) { p.Sent() }

// appendDescribed appends a result with a description and without issues.
func appendDescribed(b []byte, d node.Described) []byte {
	s := d.Semaphore
	description := codec.Description{
		Name: s.Name, Data: s.Data, Limit: s.Limit, Ephemeral: s.Ephemeral, Count: s.Count,
		Owners: len(s.Owners), Waiters: len(s.Waiters),
		Holder: func(i int) codec.Holder {
			h := &s.Owners
			if i >= len(s.Owners) {
				h, i = &s.Waiters, i-len(s.Owners)
			}
			of := &(*h)[i]

			return codec.Holder{
				OrderID: of.OrderID, Session: of.Session, TimeoutMillis: of.TimeoutMillis, Count: of.Count, Data: of.Data,
			}
		},
	}

	return codec.AppendDescribed(b, d.Req, Status(d.Status), description, d.WatchAdded)
}
