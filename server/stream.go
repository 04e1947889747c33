package server

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/wire"
)

// lastWord is the time that a stream has to deliver its last message.
const lastWord = time.Second

// stream is one call of CoordinationService/Session that has asked to attach. Three goroutines work for it. That of the
// call runs watch, which sends pings and returns when the stream has ended. The others run read, and write, which alone
// sends messages. The first of them that sees the end calls end.
type stream struct {
	id     node.StreamID
	grpc   Ydb_Coordination_V1.CoordinationService_SessionServer
	owner  *owner
	clock  clock.Clock
	log    *slog.Logger
	outbox outbox
	pinger pinger

	// The owner's goroutine sets these when it releases Attached, before attached is closed.
	session       uint64
	timeoutMillis uint64
	started       bool

	attached chan struct{} // closed by write when it has sent SessionStarted

	once  sync.Once
	ended chan struct{} // closed by end
	err   error         // of the call; set before ended is closed
}

// serveSession serves a call of CoordinationService/Session. The goroutines that it starts end soon after it returns.
// They are counted by running.
func serveSession(
	g Ydb_Coordination_V1.CoordinationService_SessionServer, nodes *nodes, id node.StreamID, running *sync.WaitGroup,
) error {
	first, err := g.Recv()
	if err != nil {
		return err
	}
	start := first.GetSessionStart()
	if start == nil {
		return status.Error(codes.InvalidArgument, "First message must be a SessionStart") // A1
	}
	o, refusal := nodes.owner(start.GetPath())
	if o == nil {
		return g.Send(wire.Response(refusal)) // A2, A3
	}

	s := &stream{
		id: id, grpc: g, owner: o, clock: nodes.env.clock,
		log:    nodes.env.log.With("node", o.path, "stream", uint64(id)),
		outbox: newOutbox(), attached: make(chan struct{}), ended: make(chan struct{}),
	}
	timer := s.clock.NewTimer()
	defer timer.Stop() // after the Detach: on a clock that is moved, no time passes before it
	if o.submit(input{req: wire.Attach(id, start), stream: s}) {
		defer o.submit(input{req: node.Detach{Stream: id}, stream: s}) // A10
	}
	running.Go(func() { s.guarded(s.read) })
	running.Go(func() { s.guarded(s.write) })
	s.guarded(func() error { return s.watch(timer) })
	s.outbox.close()

	return s.err
}

// end ends the stream. The error becomes the status of the call; nil means OK. Only the first call has an effect.
func (s *stream) end(err error) {
	s.once.Do(func() {
		s.err = err
		close(s.ended)
	})
}

// send queues a message for the client. It never blocks. If the queue is full, it cuts the stream.
func (s *stream) send(m any) {
	if !s.outbox.put(m) {
		s.log.WarnContext(s.grpc.Context(), "stream cut: the client does not read")
		s.end(status.Error(codes.ResourceExhausted, "the client does not read what it is sent"))
	}
}

// fail sends a Failure, after which the stream ends (A2).
func (s *stream) fail(code node.Status, issue string) {
	s.send(node.Failure{Status: code, Issue: issue})
}

// guarded runs a goroutine of the stream. An error or a panic ends the stream, and nothing else.
func (s *stream) guarded(f func() error) {
	err := guard(f)
	if p, ok := errors.AsType[*panicError](err); ok {
		s.log.ErrorContext(s.grpc.Context(), "panic while serving a stream", "panic", p.value, "stack", string(p.stack))
		err = status.Error(codes.Internal, "internal error")
	}
	if err != nil {
		s.end(err)
	}
}

// watch sends pings until the stream ends. It ends the stream if a pong is missing or the node has gone.
func (s *stream) watch(timer clock.Timer) error {
	attached := s.attached
	for {
		select {
		case <-attached:
			attached = nil
			s.setPing(timer)
		case <-timer.C():
			if !s.ping() {
				s.fail(node.Timeout, "Ping timeout") // P2

				return s.awaitEnd()
			}
			s.setPing(timer)
		case <-s.owner.done:
			s.fail(node.Unavailable, s.owner.reason())

			return s.awaitEnd()
		case <-s.grpc.Context().Done(): // read sees that too, but only after the attach has been answered
			return status.FromContextError(s.grpc.Context().Err()).Err()
		case <-s.ended:
			return nil
		}
	}
}

func (s *stream) setPing(timer clock.Timer) {
	now := s.clock.Now()
	timer.Set(now, now.Add(pingPeriod(s.timeoutMillis)))
}

// ping sends the next ping. It returns false if the last one has not been answered.
func (s *stream) ping() bool {
	opaque, ok := s.pinger.ping()
	if ok {
		s.send(wire.Ping{Opaque: opaque})
	}

	return ok
}

// awaitEnd waits for write to deliver the last message, for a limited time.
func (s *stream) awaitEnd() error {
	timer := s.clock.NewTimer()
	defer timer.Stop()
	now := s.clock.Now()
	timer.Set(now, now.Add(lastWord))
	select {
	case <-timer.C():
		return status.Error(codes.Unavailable, "the client does not read what it is sent")
	case <-s.ended:
		return nil
	}
}

// write sends the queued messages, and ends the stream after a Failure or Stopped.
func (s *stream) write() error {
	var messages []any
	for range s.outbox.wake {
		var open bool
		if messages, open = s.outbox.take(messages); !open {
			return nil
		}
		for _, m := range messages {
			if err := s.grpc.Send(wire.Response(m)); err != nil {
				return err
			}
			switch m.(type) {
			case node.Attached: // A7: the ping follows immediately, before any other reply
				s.ping()
				close(s.attached)
			case node.Failure, node.Stopped:
				s.end(nil)

				return nil
			}
		}
	}

	return nil
}

// read submits the client's requests, once the attach has been answered (A1).
func (s *stream) read() error {
	select {
	case <-s.attached:
	case <-s.ended:
		return nil
	}

	from := node.From{Stream: s.id, Session: s.session}
	for {
		m, err := s.grpc.Recv()
		if errors.Is(err, io.EOF) {
			s.end(nil) // the client closed the stream

			return nil
		}
		if err != nil {
			return err
		}
		if !s.handle(from, m) {
			return nil
		}
	}
}

// handle processes one message and reports whether read continues.
func (s *stream) handle(from node.From, m *Ydb_Coordination.SessionRequest) bool {
	switch m := m.GetRequest().(type) {
	case nil:
		s.fail(node.BadRequest, "Empty request") // P5

		return false
	case *Ydb_Coordination.SessionRequest_Ping:
		s.send(wire.Pong{Opaque: m.Ping.GetOpaque()}) // P4

		return true
	case *Ydb_Coordination.SessionRequest_Pong:
		if !s.pinger.pong(m.Pong.GetOpaque()) {
			s.fail(node.BadRequest, "Pong data mismatch") // P3

			return false
		}

		return true
	case *Ydb_Coordination.SessionRequest_SessionStart_:
		s.fail(node.BadRequest, "Session cannot be started twice") // P5

		return false
	}

	req := wire.Request(from, m)
	if req == nil {
		s.fail(node.BadRequest, "Unimplemented request") // P5

		return false
	}
	_, stop := req.(node.Stop)

	return s.owner.submit(input{req: req, stream: s}) && !stop // A14: nothing after SessionStop is served
}
