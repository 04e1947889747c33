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
	"tenure/internal/codec"
	"tenure/internal/node"
	"tenure/internal/panics"
	"tenure/internal/wire"
)

// lastWord is the time that a stream has to deliver its last message.
const lastWord = time.Second

// stream is one call of CoordinationService/Session that has asked to attach. The goroutine of the call runs read.
// The goroutine of the owner sends most answers, and that of an alarm sends pings. Function write sends all other
// messages, in a goroutine of its own (see outbox). Whoever sees the end of the stream calls end, which makes read
// return.
type stream struct {
	id      node.StreamID
	grpc    Ydb_Coordination_V1.CoordinationService_SessionServer
	owner   *owner
	outbox  outbox
	sending wire.Sending   // used by the writer of the outbox
	in      codec.Incoming // used by read
	pinger  pinger
	sender  sender   // of the owner's inbox
	answers *answers // used by the owner's goroutine; nil: none was large. It is not a part, because charges refer to it.
	pass    pass     // what the caller may do; used by read, or before read runs

	entrance entrance    // used by read
	reserved atomic.Bool // a session of the entrance is reserved for the stream
	joined   bool        // the owner's members include it
	asked    bool        // the owner has the attach

	// The owner's goroutine sets these when it releases Attached, before stepAttached.
	started       bool
	session       uint64
	timeoutMillis uint64

	stage stage
	why   atomic.Pointer[string] // the reason for the end, once one is known

	mu       sync.Mutex    // guards the rest
	alarm    clock.Timer   // rings when the next ping is due, or at lastWord
	lastWord clock.Instant // when the last message should have been delivered; zero: none was sent
	left     bool          // the call returns; the alarm is not set any more
}

// end ends the stream. The error becomes the status of the call; nil means OK. Only the first call has an effect.
func (s *stream) end(err error) {
	if !s.stage.come(stepEnded, err) {
		return
	}
	if e := enderOf(s.grpc.Context()); e != nil {
		_ = e.WriteStatus(status.Convert(limitError(err))) // fails only if the connection has ended
	}
}

// goes runs a function that returns soon after the stream has ended in a goroutine.
func (s *stream) goes(f func()) { s.entrance.server.streams.Go(f) }

// log returns a logger that names the stream. Few streams need one.
func (s *stream) log() *slog.Logger {
	return s.owner.env.log.With("node", s.owner.path, "stream", uint64(s.id))
}

func (s *stream) hasEnded() bool { return s.stage.is() == stepEnded }

// gone reports whether the stream has ended, or the client has given it up.
func (s *stream) gone() bool { return s.hasEnded() || s.grpc.Context().Err() != nil }

// send queues a message for the client. It never blocks. If the queue is full, it cuts the stream.
func (s *stream) send(m any) {
	if !s.outbox.put(m, s.startWriter) {
		if s.because(endSlowReader) {
			s.log().WarnContext(s.grpc.Context(), "stream cut: the client does not read", "address", s.pass.peer)
		}
		s.end(status.Error(codes.ResourceExhausted, "the client does not read what it is sent"))
	}
}

// maxUnsent is the number of bytes of a stream that gRPC may hold when answer sends a message. With 64 KiB, gRPC makes
// the sender wait.
const maxUnsent = 16 << 10

// answer does the same as send. If nothing is in the way of a small message, it sends that itself, which takes less
// processor time than another goroutine. It never blocks either.
func (s *stream) answer(m any) {
	if !direct(m) || s.sending.Unsent() > maxUnsent || !s.outbox.enter() {
		s.send(m)

		return
	}
	s.guarded(func() error { return s.transmit(m) })
	s.outbox.leave(s.startWriter)
}

// direct reports whether the message may be sent by answer. It is small, and nothing follows from its being sent.
func direct(m any) bool {
	switch m := m.(type) {
	case wire.Ping, node.AcquirePending, node.Changed:
		return true
	case node.Acquired:
		return m.Issue == ""
	case node.Released:
		return m.Issue == ""
	default:
		return false
	}
}

// transmit passes a message to gRPC. Only the writer calls it.
func (s *stream) transmit(m any) error {
	s.sending.Message = m
	err := s.grpc.SendMsg(&s.sending)
	s.sending.Message = nil

	return err
}

// unreserve ends the reservation of a session, which exists now or will not. Calling it again is a no-op.
func (s *stream) unreserve() {
	if s.reserved.CompareAndSwap(true, false) {
		s.entrance.use.Begun()
	}
}

func (s *stream) startWriter() { s.goes(func() { s.guarded(s.write) }) }

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
	if s.left || s.lastWord != 0 {
		return
	}
	now := s.owner.env.clock.Now()
	s.lastWord = now.Add(lastWord)
	s.alarm.Set(now, s.lastWord)
	s.send(f)
}

// leave stops the alarm for good.
func (s *stream) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
	s.alarm.Stop()
}

// guarded runs a part of the stream. An error or a panic ends the stream, and nothing else.
func (s *stream) guarded(f func() error) {
	if err := panics.Guard(f); err != nil {
		s.broken(err)
	}
}

// broken ends the stream because of an error or a panic. It is not a part of guarded, because that is on the stack of
// each idle stream.
func (s *stream) broken(err error) {
	if p, ok := errors.AsType[*panics.Error](err); ok {
		s.log().ErrorContext(s.grpc.Context(), "panic while serving a stream", "panic", p.Value, "stack", string(p.Stack))
		err = status.Error(codes.Internal, "internal error")
	}
	s.end(err)
}

// ring sends the next ping, or ends the stream if the last one has not been answered. In that case the alarm is stopped
// by leave, since a clock that is moved waits for what is due.
func (s *stream) ring() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.left:
	case s.lastWord != 0:
		if now := s.owner.env.clock.Now(); now < s.lastWord {
			s.alarm.Set(now, s.lastWord)
		} else {
			s.end(status.Error(codes.Unavailable, "the client does not read what it is sent"))
		}
	case s.ping():
		s.setAlarm()
		s.outbox.shrink() // pings are rare, and perhaps the only messages for long
	default:
		s.because(endPingTimeout)
		s.dieLocked(node.Failure{Status: node.Timeout, Issue: "Ping timeout"}) // P2
	}

	return nil
}

// setAlarm is called with mu held.
func (s *stream) setAlarm() {
	now := s.owner.env.clock.Now()
	s.alarm.Set(now, now.Add(pingPeriod(s.timeoutMillis)))
}

// ping sends the next ping. It returns false if the last one has not been answered.
func (s *stream) ping() bool {
	opaque, ok := s.pinger.ping()
	if ok {
		s.answer(wire.Ping{Opaque: opaque})
	}

	return ok
}

// welcome sends the first ping, which follows SessionStarted immediately (A7), and lets read continue.
func (s *stream) welcome() {
	s.ping()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.left && s.lastWord == 0 {
		s.setAlarm()
	}
	s.stage.come(stepAttached, nil)
}

// write sends the queued messages, and ends the stream after a Failure or Stopped.
func (s *stream) write() error {
	for messages := s.outbox.take(); len(messages) > 0; messages = s.outbox.take() {
		for i, m := range messages {
			if err := s.transmit(m); err != nil {
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
