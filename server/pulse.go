package server

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"

	"tenure/internal/clock"
	"tenure/internal/store"
)

const (
	turnLimit   = 10 * time.Second // an owner that takes longer for a turn of its loop makes the server not live
	commitLimit = 5 * time.Second  // a commit that takes longer makes the server not ready
	pulsePeriod = time.Second      // between two updates of the health service of gRPC
)

// pulse shows to other goroutines what an owner is doing. The instants are zero while the owner does not do it.
type pulse struct {
	turn   atomic.Int64 // since when the owner has applied requests; waiting and commits are not part of a turn
	commit atomic.Int64 // since when the commit has been in progress
}

// applying notes that a turn has begun, unless one has.
func (p *pulse) applying(now clock.Instant) {
	if p.turn.Load() == 0 {
		p.turn.Store(int64(now))
	}
}

func (p *pulse) idle() { p.turn.Store(0) }

// longest returns since when an owner has been doing something, the longest of all owners, or zero.
func (ns *nodes) longest(what func(*pulse) *atomic.Int64) (since clock.Instant, path string) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for _, have := range ns.owned {
		if have.owner == nil {
			continue
		}
		if at := clock.Instant(what(&have.pulse).Load()); at != 0 && (since == 0 || at < since) {
			since, path = at, have.path
		}
	}

	return since, path
}

// Reasons for which a server is not ready.
var (
	errDraining   = errors.New("the server is stopping")
	errSlowCommit = errors.New("the store has not finished a commit for 5 s: check the disk")
)

// live returns an error if an owner has been busy with one turn for too long. A slow disk is no reason: a restart does
// not repair it, and would cost every client an attach.
func (s *Server) live() error {
	since, path := s.nodes.longest(func(p *pulse) *atomic.Int64 { return &p.turn })
	if since != 0 && s.clock.Now().Sub(since) > turnLimit {
		return errors.New("node " + path + " has made no progress for 10 s: restart the server, and report this as a bug")
	}

	return nil
}

// ready returns the reason for which the server should not be used now, or nil. The server does not write anything to
// find out: while nobody uses it, its disk is not tested.
func (s *Server) ready() error {
	if s.draining.Load() || s.nodes.ctx.Err() != nil {
		return errDraining
	}
	if err := s.storeFailure(); err != nil {
		return err
	}
	if h, ok := s.store.(store.Health); ok {
		if err := h.Ready(); err != nil {
			return err
		}
	}
	since, _ := s.nodes.longest(func(p *pulse) *atomic.Int64 { return &p.commit })
	if since != 0 && s.clock.Now().Sub(since) > commitLimit {
		return errSlowCommit
	}

	return s.nodes.env.audit.Failing()
}

// drain makes the server not ready, so that load balancers send nobody any more.
func (s *Server) drain() {
	s.draining.Store(true)
	s.showHealth()
}

// showHealth tells the health service of gRPC whether the server is ready.
func (s *Server) showHealth() {
	status := grpc_health_v1.HealthCheckResponse_SERVING
	if s.ready() != nil {
		status = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	s.health.SetServingStatus("", status)
	for name := range s.grpc.GetServiceInfo() {
		s.health.SetServingStatus(name, status)
	}
}

// watchHealth keeps the health service up to date until ctx ends. It logs a change, because nothing else may show it.
func (s *Server) watchHealth(ctx context.Context) {
	var last error
	for clock.Pause(ctx, s.clock, pulsePeriod) {
		err := s.ready()
		switch {
		case errors.Is(err, errDraining):
		case err != nil && last == nil:
			s.log.ErrorContext(ctx, "not ready", "error", err)
		case err == nil && last != nil:
			s.log.InfoContext(ctx, "ready again")
		}
		last = err
		s.showHealth()
	}
}
