package server

import (
	"errors"
	"io"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/node"
	"tenure/internal/wire"
)

// read submits the client's requests, once the attach has been answered (A1).
func (s *stream) read() error {
	if !s.awaitAttached() {
		return nil
	}

	from := node.From{Stream: s.id, Session: s.session}
	for {
		err := s.grpc.RecvMsg(&s.in)
		if errors.Is(err, io.EOF) {
			s.because(endClient)
			s.end(nil) // the client closed the stream

			return nil
		}
		if err != nil {
			s.because(endBroken)

			return err
		}
		m := s.in.Message() // handle keeps nothing of it
		if !s.handle(from, m) {
			return nil
		}
		if _, pong := m.GetRequest().(*Ydb_Coordination.SessionRequest_Pong); pong {
			s.in.Forget() // pongs are rare, and perhaps the only messages for long
		}
	}
}

// awaitAttached returns false if the stream ends before SessionStarted has been sent.
func (s *stream) awaitAttached() bool {
	select {
	case <-s.stage.left(stepAttaching):
		return !s.hasEnded()
	case <-s.grpc.Context().Done():
		return false // await sees that too
	}
}

// handle processes one message and reports whether read continues.
func (s *stream) handle(from node.From, m *Ydb_Coordination.SessionRequest) bool {
	switch m := m.GetRequest().(type) {
	case nil:
		s.refuse("Empty request") // P5

		return false
	case *Ydb_Coordination.SessionRequest_Ping:
		s.send(wire.Pong{Opaque: m.Ping.GetOpaque()}) // P4

		return true
	case *Ydb_Coordination.SessionRequest_Pong:
		if !s.pinger.pong(m.Pong.GetOpaque()) {
			s.refuse("Pong data mismatch") // P3

			return false
		}

		return true
	case *Ydb_Coordination.SessionRequest_SessionStart_:
		s.refuse("Session cannot be started twice") // P5

		return false
	}

	req := wire.Request(from, m)
	if req == nil {
		s.refuse("Unimplemented request") // P5

		return false
	}
	if denied, reported := s.pass.refuse(req); denied != nil {
		s.deny(denied, reported)

		return true
	}
	if issue := s.overRate(req); issue != "" {
		s.send(refused(req, node.Overloaded, issue))

		return true
	}
	switch s.owner.inbox.put(&s.sender, input{req: req, stream: s}) {
	case ended:
		return false
	case full:
		s.owner.env.refusals.add("in_flight", "node", s.owner.path)
		s.send(refused(req, node.Overloaded, "Too many requests in flight"))

		return true
	default:
		_, stop := req.(node.Stop)

		return !stop // A14: nothing after SessionStop is served
	}
}
