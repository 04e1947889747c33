package server

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"tenure/internal/catalog"
	"tenure/internal/codec"
	"tenure/internal/node"
	"tenure/internal/panics"
	"tenure/internal/relay"
	"tenure/internal/store"
	"tenure/internal/wire"
)

// notHere is the key of the trailer with which a server refuses a forwarded stream whose node it does not serve.
const notHere = "tenure-not-here"

// Failures of streams that are forwarded.
var (
	ownerLost = node.Failure{
		Status: node.Unavailable, Issue: "the connection to the server of the coordination node has failed",
	}
	stopping = node.Failure{Status: node.Unavailable, Issue: errStopping.Error()}
	crowded  = node.Failure{Status: node.Overloaded, Issue: "Too many answers in flight"}
)

// forwarded is a stream that another server serves.
type forwarded struct {
	server *Server
	grpc   Ydb_Coordination_V1.CoordinationService_SessionServer
	first  *Ydb_Coordination.SessionRequest
	node   catalog.Entry
	pass   *pass

	ctx context.Context         //nolint:containedctx // of the stream
	end context.CancelCauseFunc // a failureError is sent to the client

	failed atomic.Bool // the other server has sent a Failure, which is the last message
	leave  func()      // nil: the stream has not entered
	err    error       // how the stream has ended
}

// failureError ends a stream with a Failure.
type failureError struct{ failure node.Failure }

func (e *failureError) Error() string { return e.failure.Issue }

// forward serves a stream whose node another server serves. It returns false if this server is to serve it.
func (s *Server) forward(
	g Ydb_Coordination_V1.CoordinationService_SessionServer, first *Ydb_Coordination.SessionRequest, e catalog.Entry,
	p *pass,
) (done bool, err error) {
	if fromServer(g.Context()) {
		return s.elsewhere(g, e)
	}
	f := &forwarded{server: s, grpc: g, first: first, node: e, pass: p}
	f.ctx, f.end = context.WithCancelCause(g.Context())
	defer f.end(nil)
	defer context.AfterFunc(s.nodes.ctx, func() { f.end(&failureError{stopping}) })()
	defer f.quit()
	here, err := s.front.search(f.ctx, e, f.try)
	if here {
		return false, nil
	}
	if err == nil {
		err = f.err
	}

	return true, f.finish(err)
}

// elsewhere refuses a stream that another server has forwarded, if a third one serves its node: one hop is enough.
func (s *Server) elsewhere(
	g Ydb_Coordination_V1.CoordinationService_SessionServer, e catalog.Entry,
) (refused bool, err error) {
	id, err := s.front.owner(g.Context(), e, store.Terms{}, false)
	switch {
	case s.nodes.ctx.Err() != nil, errors.Is(err, errCutOff): // another server is to serve it
	case err != nil:
		return true, status.FromContextError(err).Err()
	case id == "":
		return false, nil
	}
	s.front.forget(e.Space, id)
	g.SetTrailer(metadata.Pairs(notHere, "1"))

	return true, status.Error(codes.FailedPrecondition, "another server serves the coordination node")
}

// try forwards the stream to the server at the address.
func (f *forwarded) try(id, address string) outcome {
	s := f.server
	if f.leave == nil {
		if refusal := f.enter(); refusal != nil {
			f.err = &failureError{*refusal}

			return answered
		}
	}
	trailer, err := s.front.pool.Forward(f.ctx, address, relay.Call{
		Client: passing{f.grpc, &f.failed}, First: f.first, Clock: s.clock, Running: &s.streams, Hold: s.front.room,
		Method: Ydb_Coordination_V1.CoordinationService_Session_FullMethodName, Header: s.callerHeader(f.grpc.Context()),
	})
	switch {
	case errors.Is(err, relay.ErrUnreachable):
		return unreachable
	case len(trailer.Get(notHere)) > 0:
		return elsewhere
	case errors.Is(err, relay.ErrBroken): // the client will be back at once
		s.nodes.background(func() { s.front.check(s.nodes.ctx, id, address) })
	}
	f.err = err

	return answered
}

// finish sends the last message, if one is due, and returns the error of the call.
func (f *forwarded) finish(err error) error {
	var last node.Failure
	failed, ok := errors.AsType[*failureError](err)
	broken, panicked := errors.AsType[*panics.Error](err)
	switch {
	case panicked:
		f.server.log.ErrorContext(f.grpc.Context(), "panic while serving a stream", "panic", broken.Value, "stack",
			string(broken.Stack))
		last = ownerLost
	case err == nil:
		return nil
	case ok:
		last = failed.failure
	case f.grpc.Context().Err() != nil:
		return status.FromContextError(f.grpc.Context().Err()).Err()
	case errors.Is(err, errNoOwner):
		last = noOwner
	case errors.Is(err, errCutOff):
		last = cutOff
	case errors.Is(err, relay.ErrBroken) && f.failed.Load():
		return nil // the other server did not live to end the call
	case errors.Is(err, relay.ErrBroken):
		last = ownerLost
	case errors.Is(err, relay.ErrFull):
		f.server.refusals.add("answers", "node", f.node.Path)
		last = crowded
	case errors.Is(err, relay.ErrStalled):
		f.server.log.WarnContext(f.grpc.Context(), "stream cut: the client does not read", "address", f.pass.peer)

		return status.Error(codes.ResourceExhausted, "the client does not read what it is sent")
	default:
		return err // the other server's
	}

	return f.grpc.Send(wire.Response(last))
}

// passing is a stream that notes whether a Failure is sent.
type passing struct {
	grpc.ServerStream

	failed *atomic.Bool
}

// SendMsg implements grpc.ServerStream.
func (p passing) SendMsg(m any) error {
	if raw, ok := m.(*codec.Raw); ok && isFailure(raw.Data) {
		p.failed.Store(true)
	}

	return p.ServerStream.SendMsg(m)
}

// failureTag is how a response with a Failure begins.
var failureTag = protowire.AppendTag(nil,
	new(Ydb_Coordination.SessionResponse).ProtoReflect().Descriptor().Fields().ByName("failure").Number(),
	protowire.BytesType)

func isFailure(m mem.BufferSlice) bool {
	return len(m) > 0 && bytes.HasPrefix(m[0].ReadOnlyData(), failureTag)
}

// enter counts the stream, and makes it end when its caller's access is withdrawn.
func (f *forwarded) enter() *node.Failure {
	leave, refusal := f.server.enterForwarded(f.grpc.Context(), f.first.GetSessionStart())
	if refusal != nil {
		return refusal
	}
	f.leave = leave
	front := f.server.front
	front.mu.Lock()
	front.streams[f] = struct{}{}
	front.mu.Unlock()
	f.checkAccess() // it may have been withdrawn before

	return nil
}

func (f *forwarded) quit() {
	if f.leave == nil {
		return
	}
	f.leave()
	front := f.server.front
	front.mu.Lock()
	defer front.mu.Unlock()
	delete(front.streams, f)
}

// checkAccess ends the stream if its caller is no longer known, or no longer trusted.
func (f *forwarded) checkAccess() {
	failure, err := f.pass.withdrawn()
	if err == nil {
		return
	}
	f.server.log.InfoContext(f.grpc.Context(), "stream ended: the caller's access was withdrawn",
		"user", f.pass.caller.name(), "cause", err)
	f.end(&failureError{failure})
}

// revoke ends the streams of callers whose access was withdrawn.
func (f *front) revoke() {
	f.mu.Lock()
	streams := make([]*forwarded, 0, len(f.streams))
	for s := range f.streams {
		streams = append(streams, s)
	}
	f.mu.Unlock()
	for _, s := range streams {
		s.checkAccess()
	}
}

// room reserves memory for a large message that is being passed on. It returns nil if the
// memory for such messages is used up.
func (f *front) room(bytes int) wire.Receipt {
	if bytes > f.transit.room(nil) {
		return nil
	}

	return newCharge(bytes, &f.transit)
}
