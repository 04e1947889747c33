package server

import (
	"bytes"
	"errors"
	"strings"
	"sync"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/catalog"
	"tenure/internal/limit"
	"tenure/internal/node"
	"tenure/internal/wire"
)

type sessionStart = Ydb_Coordination.SessionRequest_SessionStart

// forwarder serves a stream whose node another server serves. It returns false if this server is to serve it.
type forwarder func(
	g Ydb_Coordination_V1.CoordinationService_SessionServer, first *Ydb_Coordination.SessionRequest, e catalog.Entry,
	p *pass,
) (done bool, err error)

// serveSession serves a call of CoordinationService/Session. The goroutines that it starts end soon after it returns.
// They are counted by running.
func serveSession(
	g Ydb_Coordination_V1.CoordinationService_SessionServer, nodes *nodes, id node.StreamID, running *sync.WaitGroup,
	by func(path string) *pass, enter func(*sessionStart) (*entrance, *node.Failure), forward forwarder,
) error {
	first, err := g.Recv()
	if err != nil {
		return err
	}
	start := first.GetSessionStart()
	if start == nil {
		return status.Error(codes.InvalidArgument, "First message must be a SessionStart") // A1
	}
	entry, refusal, ok := nodes.verified(g.Context(), start.GetPath())
	if !ok {
		return g.Send(wire.Response(refusal)) // A2, A3
	}
	if err := g.Context().Err(); err != nil && start.GetSessionId() == 0 {
		return status.FromContextError(err).Err() // the client has given the stream up, and does not come back to it
	}
	pass := by(entry.Path)
	if allowed, reported := pass.enter(); !allowed { // before the node is loaded
		if reported {
			if err := nodes.recorded(g.Context()); err != nil {
				return unrecorded(err)
			}
		}

		return g.Send(wire.Response(noAccess))
	}
	if forward != nil {
		if done, err := forward(g, first, entry, pass); done {
			return err
		}
	}
	entered, overloaded := enter(start)
	if overloaded != nil {
		return g.Send(wire.Response(*overloaded))
	}
	defer entered.leave()
	attach := wire.Attach(id, shortened(start))
	refusal, err = nodes.use(entry.Path, func(o *owner) error {
		s := &stream{
			id: id, grpc: g, owner: o,
			running: running, pass: pass, attached: make(chan struct{}), ended: make(chan struct{}),
			allowance: &entered.allowance,
			answers:   new(answers),
			ender:     enderOf(g.Context()),
		}
		s.reserved.Store(entered.reserved)

		return s.serve(attach)
	})
	if refusal.Status != 0 {
		entered.unused()

		return g.Send(wire.Response(refusal)) // A2, A3
	}

	return err
}

// serve serves the stream until its end. It returns errIdle if the owner has just ended because nobody used its node:
// then nothing has been sent.
func (s *stream) serve(attach node.Attach) error {
	o := s.owner
	joined := o.join(s)
	if !joined {
		if <-o.done; errors.Is(o.err, errIdle) {
			return errIdle
		}
	}
	defer s.unreserve()
	defer s.count()
	s.alarm = o.env.clock.NewAlarm(func() { s.guarded(s.ring) })
	defer s.leave() // after the Detach: on a clock that is moved, no time passes before it
	if joined {
		defer o.leave(s)
		s.checkAccess() // it may have been withdrawn before revoke could see the stream
		s.checkContact()
		if o.inbox.put(&s.sender, input{req: attach, stream: s}) == accepted {
			defer o.inbox.put(&s.sender, input{req: node.Detach{Stream: s.id}, stream: s}) // A10
		}
	} else {
		s.die(o.failure())
	}
	if s.ender != nil {
		s.guarded(s.read)
	} else {
		s.running.Go(func() { s.guarded(s.read) })
	}
	select {
	case <-s.ended:
	case <-s.grpc.Context().Done():
		s.because(endBroken)
		s.end(status.FromContextError(s.grpc.Context().Err()).Err())
	}
	s.outbox.close()

	return s.err
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
