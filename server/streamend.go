package server

import "tenure/internal/node"

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
		if s.allowance.existing && !s.started {
			s.allowance.use.Miss(o.env.clock.Now())
		}
	}
}
