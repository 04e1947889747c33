package server

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/wire"
)

// lastWord is the time that a stream has to deliver its last message.
const lastWord = time.Second

// stream is one call of CoordinationService/Session that has asked to attach. The goroutine of the call waits for its
// end, and another one runs read. Messages are sent by write, in a goroutine that exists while the stream is in use
// (see outbox). Pings are sent when an alarm rings. Whoever sees the end of the stream calls end.
type stream struct {
	id      node.StreamID
	grpc    Ydb_Coordination_V1.CoordinationService_SessionServer
	owner   *owner
	clock   clock.Clock
	log     *slog.Logger
	running *sync.WaitGroup // counts the goroutines that run read and write
	outbox  outbox
	pinger  pinger
	sender  sender   // of the owner's inbox
	answers *answers // not a part of stream, because charges refer to it
	pass    *pass    // what the caller may do; used by read, or before read runs

	// The owner's goroutine sets these when it releases Attached, before attached is closed.
	session       uint64
	timeoutMillis uint64
	started       bool

	attached chan struct{} // closed by write when it has sent SessionStarted

	once  sync.Once
	ended chan struct{}          // closed by end
	err   error                  // of the call; set before ended is closed
	why   atomic.Pointer[string] // the reason for the end, once one is known
	peer  string                 // the host of the client

	mu       sync.Mutex  // guards the rest
	alarm    clock.Timer // rings when the next ping is due
	lastWord clock.Timer // rings when the last message should have been delivered; nil: there is none yet
	left     bool        // the call returns; the timers are not set any more
}

// serveSession serves a call of CoordinationService/Session. The goroutines that it starts end soon after it returns.
// They are counted by running.
func serveSession(
	g Ydb_Coordination_V1.CoordinationService_SessionServer, nodes *nodes, id node.StreamID, running *sync.WaitGroup,
	by func(path string) *pass, enter func(timeoutMillis uint64) (leave func(), refusal *node.Failure),
) error {
	first, err := g.Recv()
	if err != nil {
		return err
	}
	start := first.GetSessionStart()
	if start == nil {
		return status.Error(codes.InvalidArgument, "First message must be a SessionStart") // A1
	}
	entry, refusal, ok := nodes.find(start.GetPath())
	if !ok {
		return g.Send(wire.Response(refusal)) // A2, A3
	}
	pass := by(entry.Path)
	if !pass.enter() { // before the node is loaded
		return g.Send(wire.Response(noAccess))
	}
	leave, overloaded := enter(start.GetTimeoutMillis())
	if overloaded != nil {
		return g.Send(wire.Response(*overloaded))
	}
	defer leave()
	o, refusal := nodes.owner(start.GetPath())
	if o == nil {
		return g.Send(wire.Response(refusal)) // A2, A3
	}

	s := &stream{
		id: id, grpc: g, owner: o, clock: nodes.env.clock,
		log:     nodes.env.log.With("node", o.path, "stream", uint64(id)),
		running: running, pass: pass, attached: make(chan struct{}), ended: make(chan struct{}),
		answers: new(answers),
		peer:    host(g.Context()),
	}
	defer s.count()
	s.alarm = s.clock.NewAlarm(func() { s.guarded(s.ring) })
	defer s.leave() // after the Detach: on a clock that is moved, no time passes before it
	if o.join(s) {
		defer o.leave(s)
		s.checkAccess() // it may have been withdrawn before revoke could see the stream
		if o.inbox.put(&s.sender, input{req: wire.Attach(id, start), stream: s}) == accepted {
			defer o.inbox.put(&s.sender, input{req: node.Detach{Stream: id}, stream: s}) // A10
		}
	} else {
		s.die(o.failure())
	}
	running.Go(func() { s.guarded(s.read) })
	select {
	case <-s.ended:
	case <-g.Context().Done(): // read sees that too, but only after the attach has been answered
		s.because(endBroken)
		s.end(status.FromContextError(g.Context().Err()).Err())
	}
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

func (s *stream) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// send queues a message for the client. It never blocks. If the queue is full, it cuts the stream.
func (s *stream) send(m any) {
	if !s.outbox.put(m, s.startWriter) {
		if s.because(endSlowReader) {
			s.log.WarnContext(s.grpc.Context(), "stream cut: the client does not read", "address", s.peer)
		}
		s.end(status.Error(codes.ResourceExhausted, "the client does not read what it is sent"))
	}
}

func (s *stream) startWriter() { s.running.Go(func() { s.guarded(s.write) }) }

// refuse sends a Failure because of a request that breaks the protocol. Then the stream ends (A2).
func (s *stream) refuse(issue string) {
	s.because(endProtocol)
	s.send(node.Failure{Status: node.BadRequest, Issue: issue})
}

// die sends a Failure, and ends the stream after a limited time even if the client does not read the Failure.
func (s *stream) die(f node.Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dieLocked(f)
}

// dieLocked is called with mu held.
func (s *stream) dieLocked(f node.Failure) {
	if s.left || s.lastWord != nil {
		return
	}
	s.lastWord = s.clock.NewAlarm(func() {
		s.end(status.Error(codes.Unavailable, "the client does not read what it is sent"))
	})
	now := s.clock.Now()
	s.lastWord.Set(now, now.Add(lastWord))
	s.send(f)
}

// leave stops the timers for good.
func (s *stream) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
	s.alarm.Stop()
	if s.lastWord != nil {
		s.lastWord.Stop()
	}
}

// guarded runs a part of the stream. An error or a panic ends the stream, and nothing else.
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

// ring sends the next ping, or ends the stream if the last one has not been answered. In that case the alarm is stopped
// by leave, since a clock that is moved waits for what is due.
func (s *stream) ring() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outbox.calm()
	switch {
	case s.left:
	case s.ping():
		s.setAlarm()
	default:
		s.because(endPingTimeout)
		s.dieLocked(node.Failure{Status: node.Timeout, Issue: "Ping timeout"}) // P2
	}

	return nil
}

// setAlarm is called with mu held.
func (s *stream) setAlarm() {
	now := s.clock.Now()
	s.alarm.Set(now, now.Add(pingPeriod(s.timeoutMillis)))
}

// ping sends the next ping. It returns false if the last one has not been answered.
func (s *stream) ping() bool {
	opaque, ok := s.pinger.ping()
	if ok {
		s.send(wire.Ping{Opaque: opaque})
	}

	return ok
}

// welcome sends the first ping, which follows SessionStarted immediately (A7), and lets read continue.
func (s *stream) welcome() {
	s.ping()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.left {
		s.setAlarm()
	}
	close(s.attached)
}

// write sends the queued messages, and ends the stream after a Failure or Stopped.
func (s *stream) write() error {
	for messages := s.outbox.take(); len(messages) > 0; messages = s.outbox.take() {
		for i, m := range messages {
			if err := s.grpc.SendMsg(m); err != nil {
				drop(messages[i:])

				return err
			}
			switch m.(type) {
			case node.Attached:
				s.welcome()
			case node.Failure, node.Stopped:
				drop(messages[i:])
				s.because(endClient)
				s.end(nil)

				return nil
			}
		}
	}

	return nil
}
