package wire

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"tenure/internal/codec"
)

// Sending passes the messages of a stream to gRPC, one after the other: SendMsg sends the Message of a *Sending. It
// counts the bytes that gRPC has not sent yet. The zero Sending is ready for use.
type Sending struct {
	Message any // the next one

	unsent codec.Backlog
}

// Unsent returns the number of bytes of the messages that gRPC holds. Messages that were sent in another way do not
// count. It may be called concurrently with everything else.
func (s *Sending) Unsent() int64 { return s.unsent.Bytes() }

// marshalSending encodes the next message.
func (c Codec) marshalSending(s *Sending) (mem.BufferSlice, error) {
	switch m := s.Message.(type) {
	case *Answer:
		counted := *m
		receipt := &countedReceipt{Receipt: m.Receipt, sending: s}
		counted.Receipt = receipt
		data, err := c.marshalAnswer(&counted)
		if !receipt.sent {
			receipt.bytes = int64(data.Len())
			s.unsent.Add(receipt.bytes)
		}

		return data, err
	}
	buf := codec.Buffer()
	if !appendFrequent(buf, s.Message) {
		var err error
		if *buf, err = (proto.MarshalOptions{}).MarshalAppend(*buf, Response(s.Message)); err != nil {
			codec.Recycle(buf)

			return nil, err
		}
	}

	return s.unsent.Slice(buf), nil
}

// countedReceipt also ends the count of an answer.
type countedReceipt struct {
	Receipt

	sending *Sending
	bytes   int64
	sent    bool
}

// Sent implements Receipt.
func (r *countedReceipt) Sent() {
	r.sent = true
	r.sending.unsent.Add(-r.bytes)
	r.Receipt.Sent()
}
