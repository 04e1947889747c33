package server

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"tenure/internal/node"
)

// ender ends a call with a status before its handler has returned, and so makes RecvMsg return. Otherwise each idle
// stream would need a second goroutine: one that waits for messages, and one that waits for the end.
type ender interface{ WriteStatus(s *status.Status) error }

// enderOf returns the ender of a call. It returns nil if there is none: gRPC's calls have the method, but gRPC does not
// promise it.
func enderOf(ctx context.Context) ender {
	e, _ := grpc.ServerTransportStreamFromContext(ctx).(ender)

	return e
}

// Reasons for which streams end, as in the metric.
var (
	endClient      = "client"       // the client closed it, or stopped its session
	endBroken      = "broken"       // the connection, or the client has given the stream up
	endPingTimeout = "ping_timeout" // P2
	endSlowReader  = "slow_reader"
	endStolen      = "stolen"   // A8
	endRefused     = "refused"  // the attach was
	endProtocol    = "protocol" // P3, P5
	endNode        = "node"     // the node was dropped or has failed
	endServer      = "server"   // the server is stopping
	endAccess      = "access"   // the caller's access was withdrawn
	endStore       = "store"    // only this server cannot reach the common store
)

// because notes why the stream ends. Only the first reason counts. It returns true for that one.
func (s *stream) because(reason string) bool { return s.why.CompareAndSwap(nil, &reason) }

// count counts the end of the stream.
func (s *stream) count() {
	s.because(endBroken)
	s.owner.env.counts.streamEnds.add(*s.why.Load())
}

// failed notes why a stream ends that is sent a Failure of the node.
func (o *owner) failed(s *stream, f node.Failure) {
	switch {
	case s.started && f.Status == node.BadSession:
		s.because(endStolen)
	default:
		s.because(endRefused)
		if s.entrance.existing && !s.started {
			s.entrance.use.Miss(o.env.clock.Now())
		}
	}
}
