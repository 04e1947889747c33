package server

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"tenure/internal/conns"
	"tenure/internal/node"
	"tenure/internal/printable"
	"tenure/internal/wire"
)

// Limits of the calls that watch the server's health. Anybody may make them, so they must not take the slots of
// sessions.
const (
	maxWatches        = 256
	maxWatchesPerConn = 32
)

// limitedStream is a stream that takes a slot when its first message arrives. Then its caller is known. The time until
// that message is limited too.
type limitedStream struct {
	grpc.ServerStream

	ctx     context.Context //nolint:containedctx // the stream's own; it knows the caller. nil: that of ServerStream
	server  *Server
	started bool // the first message has arrived
	slot    slot
	full    *string // why there was no slot; nil: there was one
}

// slot is what a stream counts as.
type slot uint8

const (
	noSlot    slot = iota
	anySlot        // one of Limits.Streams
	watchSlot      // one of those that watch the server's health
)

// serve calls the handler of the stream.
func (l *limitedStream) serve(srv any, handler grpc.StreamHandler) error {
	defer l.leave()
	if err := l.begin(); err != nil {
		return err
	}
	err := handler(srv, l)
	if l.full == nil {
		return err
	}

	return l.refuse()
}

// begin identifies the caller.
func (l *limitedStream) begin() (err error) {
	ctx := l.ServerStream.Context()
	if c := callOf(ctx); c != nil && c.cancel == nil {
		c.run(enderOf(ctx))
	}
	l.ctx, err = l.server.identify(ctx, l.method())

	return err
}

func (l *limitedStream) refuse() error {
	if l.method() == Ydb_Coordination_V1.CoordinationService_Session_FullMethodName {
		return l.ServerStream.SendMsg(wire.Response(node.Failure{Status: node.Overloaded, Issue: *l.full})) // A2
	}

	return status.Error(codes.ResourceExhausted, *l.full)
}

func (l *limitedStream) method() string {
	method, _ := grpc.MethodFromServerStream(l.ServerStream)

	return method
}

// Context implements grpc.ServerStream.
func (l *limitedStream) Context() context.Context {
	if l.ctx == nil {
		return l.ServerStream.Context()
	}

	return l.ctx
}

var errNoSlot = errors.New("no slot")

// RecvMsg implements grpc.ServerStream.
func (l *limitedStream) RecvMsg(m any) error {
	err := l.ServerStream.RecvMsg(m)
	if l.started || err != nil {
		return err
	}

	return l.start()
}

// start notes that the first message has arrived.
func (l *limitedStream) start() error {
	l.started = true
	if c := callOf(l.Context()); c != nil {
		c.begin()
	}
	var full string
	if l.slot, full = l.server.slot(l.Context(), l.method()); full != "" {
		l.full = &full

		return errNoSlot
	}

	return nil
}

// leave is called when the stream has ended.
func (l *limitedStream) leave() {
	if c := callOf(l.ServerStream.Context()); c != nil {
		c.begin() // its first message will not arrive any more
	}
	l.server.giveBack(l.ServerStream.Context(), l.slot)
}

// slot takes a slot for a stream. If there is none, it returns the text of the refusal.
func (s *Server) slot(ctx context.Context, method string) (taken slot, full string) {
	if method == grpc_health_v1.Health_Watch_FullMethodName {
		if !s.watches.take(conns.Of(ctx)) {
			s.refusals.add("health_watches", "address", address(ctx))

			return noSlot, fmt.Sprintf("at most %d calls may watch the health of the server, and %d of one connection: "+
				"try again later, or call Check", maxWatches, maxWatchesPerConn)
		}

		return watchSlot, ""
	}
	if s.front != nil && fromServer(ctx) { // which has counted the stream
		return noSlot, ""
	}
	if s.inProgress.Add(1) > int64(s.limits.Streams) {
		s.inProgress.Add(-1)
		s.refusals.add("streams", "address", address(ctx))

		serves := printable.Count(s.limits.Streams, "stream", "streams")

		return noSlot, "the server already serves " + serves + ": try again later"
	}

	return anySlot, ""
}

// giveBack ends the use of a slot by a stream with the context.
func (s *Server) giveBack(ctx context.Context, taken slot) {
	switch taken {
	case anySlot:
		s.inProgress.Add(-1)
	case watchSlot:
		s.watches.giveBack(conns.Of(ctx))
	}
}

// watches counts the calls that watch the server's health.
type watches struct {
	mu   sync.Mutex // guards the rest
	all  int
	from map[*conns.Conn]int
}

// take counts a call of a connection. It returns false if there are too many.
func (w *watches) take(conn *conns.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all >= maxWatches || w.from[conn] >= maxWatchesPerConn {
		return false
	}
	if w.from == nil {
		w.from = make(map[*conns.Conn]int)
	}
	w.all++
	w.from[conn]++

	return true
}

func (w *watches) giveBack(conn *conns.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if w.from[conn]--; w.from[conn] == 0 {
		delete(w.from, conn)
	}
}
