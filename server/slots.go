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

// limitStream limits the number of streams of the server, and the time until the first message of each. A stream
// counts from its first message: then its caller is known.
func (s *Server) limitStream(
	srv any, g grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	limited := &limitedStream{ServerStream: g, server: s, method: info.FullMethod}
	defer limited.leave()
	if c := callOf(g.Context()); c != nil && c.cancel == nil {
		c.run(enderOf(g.Context()))
	}
	err := handler(srv, limited)
	if limited.full == "" {
		return err
	}
	if info.FullMethod == Ydb_Coordination_V1.CoordinationService_Session_FullMethodName {
		return g.SendMsg(wire.Response(node.Failure{Status: node.Overloaded, Issue: limited.full})) // A2
	}

	return status.Error(codes.ResourceExhausted, limited.full)
}

// limitedStream is a stream that takes a slot when its first message arrives.
type limitedStream struct {
	grpc.ServerStream

	server  *Server
	method  string
	started bool   // the first message has arrived
	release func() // gives the slot back; nil: the stream has none
	full    string // why there was no slot
}

var errNoSlot = errors.New("no slot")

// RecvMsg implements grpc.ServerStream.
func (l *limitedStream) RecvMsg(m any) error {
	err := l.ServerStream.RecvMsg(m)
	if l.started || err != nil {
		return err
	}
	l.started = true
	if c := callOf(l.Context()); c != nil {
		c.begin()
	}
	if l.release, l.full = l.server.slot(l.Context(), l.method); l.full != "" {
		return errNoSlot
	}

	return nil
}

// leave is called when the stream has ended.
func (l *limitedStream) leave() {
	if c := callOf(l.Context()); c != nil {
		c.begin() // its first message will not arrive any more
	}
	if l.release != nil {
		l.release()
	}
}

// slot takes a slot for a stream. If there is none, it returns the text of the refusal.
func (s *Server) slot(ctx context.Context, method string) (release func(), full string) {
	if method == grpc_health_v1.Health_Watch_FullMethodName {
		conn := conns.Of(ctx)
		if !s.watches.take(conn) {
			s.refusals.add("health_watches", "address", address(ctx))

			return nil, fmt.Sprintf("at most %d calls may watch the health of the server, and %d of one connection: "+
				"try again later, or call Check", maxWatches, maxWatchesPerConn)
		}

		return func() { s.watches.giveBack(conn) }, ""
	}
	if s.front != nil && fromServer(ctx) { // which has counted the stream
		return func() {}, ""
	}
	release = func() { s.inProgress.Add(-1) }
	if s.inProgress.Add(1) > int64(s.limits.Streams) {
		release()
		s.refusals.add("streams", "address", address(ctx))

		serves := printable.Count(s.limits.Streams, "stream", "streams")

		return nil, "the server already serves " + serves + ": try again later"
	}

	return release, ""
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
