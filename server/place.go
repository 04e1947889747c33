package server

import (
	"context"
	"time"

	"tenure/internal/clock"
)

// placePeriod is the interval at which the server checks that its files are where other processes look for them.
const placePeriod = time.Second

// watchPlace stops the server when one of the checks fails, because the directory of the server or its content was
// removed. In that case another process can start a server with an empty store, which may grant the same locks. A
// commit finds this out by itself (see logstore.Store.InPlace). The watch is for a server that commits nothing: answers
// to reads renew leases. watchPlace returns when ctx ends.
func (s *Server) watchPlace(ctx context.Context, checks []func() error) {
	for clk := clock.Go(); clock.Pause(ctx, clk, placePeriod); {
		for _, inPlace := range checks {
			if err := inPlace(); err != nil {
				s.fail(err)

				return
			}
		}
	}
}

// guardPlace starts watchPlace for the store and one more check, which may be nil, if there is something to check.
func (s *Server) guardPlace(more func() error) {
	var checks []func() error
	if more != nil {
		checks = append(checks, more)
	}
	if placed, ok := s.store.(interface{ InPlace() error }); ok {
		checks = append(checks, placed.InPlace)
	}
	if len(checks) > 0 {
		s.nodes.running.Go(func() { s.watchPlace(s.nodes.ctx, checks) })
	}
}
