package server

import (
	"context"
	"runtime"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"tenure/internal/catalog"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/wire"
)

// The bounds of answers that have been computed but not sent, in bytes as estimated by package node.
const (
	largeAnswer      = 64 << 10  // smaller ones are not counted: the outbox bounds them
	maxStreamAnswers = 4 << 20   // of one stream, unless it is a single answer
	maxAnswers       = 128 << 20 // of a server
)

// answers counts the bytes of the large answers that are in memory. Its zero value has counted none.
type answers struct{ bytes atomic.Int64 }

// room returns the size that the next answer to a stream may have. If stream is nil, the stream has had none.
func (a *answers) room(stream *answers) int {
	room := maxAnswers - a.bytes.Load()
	if stream != nil {
		if waiting := stream.bytes.Load(); waiting > 0 {
			room = min(room, maxStreamAnswers-waiting)
		}
	}

	return int(max(room, largeAnswer))
}

// charge is the share of an answer in the counts. It ends when its memory is given back: when gRPC has sent the last
// byte, or when the answer is dropped and collected as garbage, for example because the connection is closed.
type charge struct{ *debt }

type debt struct {
	paid  atomic.Bool
	bytes int64
	to    []*answers
}

func newCharge(bytes int, to ...*answers) *charge {
	c := &charge{&debt{bytes: int64(bytes), to: to}}
	for _, a := range to {
		a.bytes.Add(c.bytes)
	}
	runtime.AddCleanup(c, (*debt).release, c.debt)

	return c
}

// release ends the charge. Calling it again is a no-op.
func (d *debt) release() {
	if d.paid.CompareAndSwap(false, true) {
		for _, a := range d.to {
			a.bytes.Add(-d.bytes)
		}
	}
}

// Sent implements wire.Receipt.
func (c *charge) Sent() { c.release() }

// describe applies a Describe. The answer is refused if the client does not read those that it has asked for before, or
// if the answers to all clients take too much memory.
func (o *owner) describe(now clock.Instant, s *stream, r node.Describe) {
	fx := &o.next.fx
	o.node.AnswerRoom(o.env.answers.room(s.answers))
	copied := fx.Copied()
	o.node.Apply(now, r, fx)
	last := &fx.Replies[len(fx.Replies)-1]
	d, _ := last.Message.(node.Described)
	if d.Status == node.Overloaded {
		o.env.refusals.add("answers", "node", o.path)
	}
	if size := fx.Described(); size > largeAnswer {
		if s.answers == nil {
			s.answers = new(answers)
		}
		last.Message = &wire.Answer{Described: d, Size: size, Receipt: newCharge(size, &o.env.answers, s.answers)}
		o.inbox.debit(&s.sender, size+(fx.Copied()-copied)*copyCost)
	}
}

// copyCost is what a stream pays for each owner or waiter that is copied for it, in bytes of requests.
const copyCost = 256

// receiptKey is the key of a context for a *charge, which a unary call sets if its answer is large.
type receiptKey struct{}

// charge reserves memory for a large answer to a unary call. It returns an error if there is none.
func (s *Server) charge(ctx context.Context, bytes int) error {
	of, ok := ctx.Value(receiptKey{}).(**charge)
	if !ok || bytes <= largeAnswer {
		return nil
	}
	if bytes > s.nodes.env.answers.room(nil) {
		s.refusals.add("answers")

		return &catalog.Error{Status: node.Overloaded, Issue: "Too many answers in flight"}
	}
	*of = newCharge(bytes, &s.nodes.env.answers)

	return nil
}

// charged makes a unary call whose answer may be large.
func charged(ctx context.Context, call func(context.Context) (any, error)) (any, error) {
	var c *charge
	resp, err := call(context.WithValue(ctx, receiptKey{}, &c))
	m, ok := resp.(proto.Message)
	switch {
	case c == nil:
	case err != nil || !ok:
		c.Sent()
	default:
		return wire.Large{Message: m, Receipt: c}, nil
	}

	return resp, err
}
