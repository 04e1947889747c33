package server

import (
	"bytes"
	"errors"
	"strings"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/limit"
	"tenure/internal/node"
	"tenure/internal/wire"
)

type sessionStart = Ydb_Coordination.SessionRequest_SessionStart

// Session serves one stream. The goroutines that it starts end soon after it returns. They are counted by
// Server.streams.
//
// What is on the stack here stays there while the stream is idle. So the start, which needs much of it, returns before
// serve is called.
func (c *coordinationService) Session(g Ydb_Coordination_V1.CoordinationService_SessionServer) error {
	c.server.open.Add(1)
	defer c.server.open.Add(-1)
	s, err := c.server.start(g)
	if s == nil {
		return err
	}

	return s.serve()
}

// start starts a stream. If it returns no stream, the call returns the error.
func (s *Server) start(g Ydb_Coordination_V1.CoordinationService_SessionServer) (started *stream, err error) {
	if err := s.checkDatabase(g.Context()); err != nil {
		return nil, g.Send(wire.Response(node.Failure{Status: node.NotFound, Issue: err.Error()})) // A2, N6
	}
	id := node.StreamID(s.lastStream.Add(1))
	first, err := g.Recv()
	if err != nil {
		return nil, err
	}
	start := first.GetSessionStart()
	if start == nil {
		return nil, status.Error(codes.InvalidArgument, "First message must be a SessionStart") // A1
	}
	entry, refusal, ok := s.nodes.verified(g.Context(), start.GetPath())
	if !ok {
		return nil, g.Send(wire.Response(refusal)) // A2, A3
	}
	if err := g.Context().Err(); err != nil && start.GetSessionId() == 0 {
		return nil, status.FromContextError(err).Err() // the client has given the stream up, and does not come back to it
	}
	pass := s.passTo(g.Context(), entry.Path)
	if allowed, reported := pass.enter(); !allowed { // before the node is loaded
		if reported {
			if err := s.nodes.recorded(g.Context()); err != nil {
				return nil, unrecorded(err)
			}
		}

		return nil, g.Send(wire.Response(noAccess))
	}
	if s.front != nil {
		if done, err := s.forward(g, first, entry, &pass); done {
			return nil, err
		}
	}
	entered, overloaded := s.enter(g.Context(), start)
	if overloaded != nil {
		return nil, g.Send(wire.Response(*overloaded))
	}
	st := &stream{id: id, grpc: g, pass: pass, entrance: entered}
	st.reserved.Store(!entered.existing)
	st.alarm = s.clock.NewAlarm(func() { st.guarded(st.ring) })
	defer func() {
		switch {
		case started != nil: // serve calls finish
		case st.joined: // a panic
			st.finish()
		default:
			st.unreserve()
			st.entrance.leave()
		}
	}()
	refusal, err = s.nodes.use(entry.Path, st.join)
	if refusal.Status != 0 {
		return nil, g.Send(wire.Response(refusal)) // A2, A3
	}
	if err != nil {
		return nil, err
	}
	st.begin(wire.Attach(id, shortened(start)))

	return st, nil
}

// join makes the stream end with the owner. It returns errIdle if the owner has just ended because nobody used its
// node.
func (s *stream) join(o *owner) error {
	s.owner = o
	if s.joined = o.join(s); !s.joined {
		if <-o.done; errors.Is(o.err, errIdle) {
			return errIdle
		}
	}

	return nil
}

// begin asks the owner to attach the stream, unless the owner has ended.
func (s *stream) begin(attach node.Attach) {
	if !s.joined {
		s.die(s.owner.failure())

		return
	}
	s.checkAccess() // it may have been withdrawn before revoke could see the stream
	s.checkContact()
	s.asked = s.owner.inbox.put(&s.sender, input{req: attach, stream: s}) == accepted
}

// serve serves the stream until its end.
func (s *stream) serve() error {
	defer s.finish()
	if c := callOf(s.grpc.Context()); c != nil {
		c.forget()
	}
	if enderOf(s.grpc.Context()) != nil {
		s.guarded(s.read)
	} else {
		s.goes(func() { s.guarded(s.read) }) // nothing else makes RecvMsg return
	}
	s.awaitEnd()
	s.outbox.close()

	return s.stage.reason()
}

// awaitEnd ends the stream when its context ends.
func (s *stream) awaitEnd() {
	for at := s.stage.is(); at != stepEnded; at = s.stage.is() {
		select {
		case <-s.stage.left(at):
		case <-s.grpc.Context().Done():
			s.because(endBroken)
			s.end(status.FromContextError(s.grpc.Context().Err()).Err())
		}
	}
}

// finish gives back what the stream has. All of that is done also if there is a panic.
func (s *stream) finish() {
	defer s.entrance.leave()
	defer s.unreserve()
	defer s.count()
	defer s.leave() // after the Detach: on a clock that is moved, no time passes before it
	if s.joined {
		defer s.owner.leave(s)
	}
	if s.asked {
		s.owner.inbox.put(&s.sender, input{req: node.Detach{Stream: s.id}, stream: s}) // A10
	}
}

// shortened returns a SessionStart without most of the texts that are too long, so that they do not take memory while
// the request waits. The node refuses it as it would have refused the original.
func shortened(start *sessionStart) *sessionStart {
	description, key := start.GetDescription(), start.GetProtectionKey()
	if len(description) <= limit.Description && len(key) <= limit.ProtectionKey {
		return start
	}

	return &sessionStart{
		SessionId: start.GetSessionId(), SeqNo: start.GetSeqNo(), TimeoutMillis: start.GetTimeoutMillis(),
		Description:   strings.Clone(description[:min(len(description), limit.Description+1)]),
		ProtectionKey: bytes.Clone(key[:min(len(key), limit.ProtectionKey+1)]),
	}
}
