package relay

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"tenure/internal/clock"
	"tenure/internal/codec"
	"tenure/internal/panics"
	"tenure/internal/wire"
)

// Large is the size in bytes above which a message is only passed on if there is room for it. No other message of the
// same direction is read until it has been sent.
const Large = 64 << 10

// Stall is how long a client may not read what it is sent, though something waits for it. A client that the other
// server still serves has answered a ping in less.
const Stall = 11 * time.Second

// lastWord is how long a client may take to be sent what is in front of its last message.
const lastWord = time.Second

// Errors of Forward.
var (
	// ErrBroken reports that the connection to the other server has failed. What the client has sent last may or may not
	// have arrived there.
	ErrBroken = errors.New("the connection to the other server has failed")
	// ErrStalled reports that the client does not read what it is sent. Nothing more can be sent to it.
	ErrStalled = errors.New("the client does not read what it is sent")
	// ErrFull reports that there was no room for a message.
	ErrFull = errors.New("too many large messages are being passed on")
)

// Call is a stream of a client that is forwarded.
type Call struct {
	Client grpc.ServerStream
	Method string
	Header metadata.MD // for the other server
	First  any         // the first message, which the caller has received
	Clock  clock.Clock

	Running *sync.WaitGroup // counts goroutines that end soon after Forward has returned

	// Hold reserves room for a large message, until Sent of the result is called, or the result is garbage. If there is no
	// room, it returns nil.
	Hold func(bytes int) wire.Receipt
}

// Forward passes the stream on to the server at the address, until one side ends it, or ctx ends, which must be a
// context of the client's stream. It returns how the other server has ended the stream: nil, or an error with a status.
// Otherwise it returns ErrUnreachable, one of the errors above, a *panics.Error, or the cause of the end of ctx. Unless
// it returns ErrStalled, the caller may send a last message. The trailer is that of the other server.
func (p *Pool) Forward(ctx context.Context, address string, c Call) (trailer metadata.MD, err error) {
	l, err := p.take(address)
	if err != nil {
		return nil, err
	}
	defer p.give(l)
	up, cancel := context.WithCancelCause(metadata.NewOutgoingContext(ctx, c.Header))
	defer cancel(nil)
	f := &forward{
		call: c, ctx: up, cancel: cancel,
		answered: make(chan struct{}), ended: make(chan struct{}), stalled: make(chan struct{}),
	}
	if err := f.open(l.conn); err != nil {
		return nil, err
	}
	f.guard.start(f)
	defer f.guard.stop()
	c.Running.Go(f.down)
	for answered := f.answered; ; {
		select {
		case <-answered:
			answered = nil
			c.Running.Go(f.up)

			continue
		case <-f.ended:
		case <-f.stalled:
			return nil, ErrStalled
		case <-ctx.Done():
			if !f.settled() {
				return nil, ErrStalled
			}
		}

		return f.server.Trailer(), f.reason()
	}
}

// forward is a call in progress. up and down run in a goroutine each.
type forward struct {
	call   Call
	ctx    context.Context //nolint:containedctx // of the stream to the other server
	cancel context.CancelCauseFunc
	server grpc.ClientStream
	guard  guard

	answered chan struct{} // closed when the first answer has arrived
	ended    chan struct{} // closed when down has ended
	err      error         // why; set before
	stalled  chan struct{} // closed by guard
}

var description = grpc.StreamDesc{ClientStreams: true, ServerStreams: true}

// open opens the stream to the other server and sends the first message. If it returns an error, nothing was sent.
func (f *forward) open(conn *grpc.ClientConn) error {
	late := f.call.Clock.NewAlarm(func() { f.cancel(ErrUnreachable) })
	now := f.call.Clock.Now()
	late.Set(now, now.Add(connect))
	defer late.Stop()
	server, err := conn.NewStream(f.ctx, &description, f.call.Method)
	switch {
	case f.ctx.Err() != nil:
		return context.Cause(f.ctx)
	case err != nil:
		return ErrUnreachable
	}
	f.server = server
	_ = server.SendMsg(f.call.First) // RecvMsg returns the error

	return nil
}

// down passes on what the other server sends.
func (f *forward) down() {
	defer close(f.ended)
	f.err = panics.Guard(f.passDown)
	if panicked, ok := errors.AsType[*panics.Error](f.err); ok {
		f.cancel(panicked)
	}
}

func (f *forward) passDown() error {
	var m codec.Raw
	for first := true; ; first = false {
		if err := f.server.RecvMsg(&m); err != nil {
			return err
		}
		if first {
			close(f.answered)
		}
		f.guard.busy.Store(int64(f.call.Clock.Now()))
		err := f.pass(&m, f.call.Client.SendMsg)
		f.guard.busy.Store(0)
		if err != nil {
			return err
		}
	}
}

// up passes on what the client sends. It begins when the other server has answered the first message: another one may
// have to be asked before.
func (f *forward) up() {
	err := panics.Guard(func() error {
		f.passUp()

		return nil
	})
	if err != nil {
		f.cancel(err)
	}
}

func (f *forward) passUp() {
	var m codec.Raw
	for {
		err := f.call.Client.RecvMsg(&m)
		if errors.Is(err, io.EOF) {
			_ = f.server.CloseSend()

			return
		}
		if err != nil {
			f.cancel(err)

			return
		}
		if err := f.pass(&m, f.server.SendMsg); err != nil {
			if errors.Is(err, ErrFull) {
				f.cancel(err)
			}

			return // down knows the reason
		}
	}
}

// pass sends a message. If it is large, pass waits until it has been sent.
func (f *forward) pass(m *codec.Raw, send func(any) error) error {
	size := m.Data.Len()
	if size <= Large {
		return send(m)
	}
	receipt := f.call.Hold(size)
	if receipt == nil {
		m.Data.Free()

		return ErrFull
	}
	data := m.Data.Materialize()
	m.Data.Free()
	sent := &sentReceipt{receipt, make(chan struct{})}
	m.Data = wire.Received(data, sent)
	if err := send(m); err != nil {
		return err
	}
	select {
	case <-sent.done:
	case <-f.ctx.Done():
	}

	return nil
}

// sentReceipt also tells pass that the message has been sent.
type sentReceipt struct {
	wire.Receipt

	done chan struct{}
}

// Sent implements wire.Receipt.
func (r *sentReceipt) Sent() {
	r.Receipt.Sent()
	close(r.done)
}

// settled waits until down has ended, after the end of the context. It returns false if down still sends a message.
func (f *forward) settled() bool {
	timer := f.call.Clock.NewTimer()
	defer timer.Stop()
	now := f.call.Clock.Now()
	timer.Set(now, now.Add(lastWord))
	select {
	case <-f.ended:
		return true
	case <-timer.C():
		return false
	}
}

// reason returns how the stream has ended.
func (f *forward) reason() error {
	cause := context.Cause(f.ctx)
	switch {
	case errors.Is(cause, ErrUnreachable): // too late: the first message may have been sent
		return ErrBroken
	case cause != nil:
		return cause
	case errors.Is(f.err, io.EOF):
		return nil
	case errors.Is(f.err, ErrFull):
		return f.err
	}
	switch status.Code(f.err) {
	case codes.Unavailable, codes.Canceled: // the latter if the pool has closed the connection
		return ErrBroken
	}

	return f.err
}
