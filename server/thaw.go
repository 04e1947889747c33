package server

import (
	"context"
	"fmt"
	"time"

	"tenure/internal/clock"
	"tenure/internal/node"
)

// thaw makes nodes grant again after a restore from a backup. Until the wait has passed, clients that have not noticed
// the loss of the server from before may hold what it has granted them, also after the backup. That the wait is over is
// durable before anything is granted: a server that is restarted in between must not take grants back, which it does if
// it loads a node as frozen. If servers share the store, the first one whose wait is over ends that of the others.
func (ns *nodes) thaw(wait time.Duration) {
	ns.env.log.WarnContext(ns.ctx, "restored from a backup: granting nothing, because clients of the lost server may "+
		"still hold locks", "duration", wait)
	for until := ns.thaws; ns.env.clock.Now() < until && ns.catalog.Wait() > 0; {
		if !clock.Pause(ns.ctx, ns.env.clock, min(until.Sub(ns.env.clock.Now()), thawPeriod)) {
			return
		}
	}
	if err := ns.catalog.Waited(ns.ctx); err != nil {
		if ns.ctx.Err() == nil {
			ns.fatal(&storeError{fmt.Errorf("end the wait after a restore: %w", err)})
		}

		return
	}
	ns.mu.Lock()
	ns.frozen = false
	ns.mu.Unlock()
	for _, o := range ns.loaded() {
		o.inbox.putOwn(input{req: node.Thaw{}})
	}
	ns.env.log.InfoContext(ns.ctx, "restored from a backup: granting again")
}

// thawPeriod is the interval at which thaw looks whether another server has ended the wait.
const thawPeriod = time.Second

// stillFrozen reports whether a node that this server has claimed must be loaded as frozen. Another server may have
// granted something in it, and handed it over before this one has noticed that the wait is over.
func (ns *nodes) stillFrozen(ctx context.Context, frozen bool) (bool, error) {
	if !frozen || !ns.catalog.Common() {
		return frozen, nil
	}
	if err := ns.catalog.Sync(ctx); err != nil {
		return false, err
	}

	return ns.catalog.Wait() > 0, nil
}

// grantsFrom returns when the nodes will grant again after a restore, or 0 if they grant.
func (ns *nodes) grantsFrom() clock.Instant {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if !ns.frozen {
		return 0
	}

	return ns.thaws
}

// grantsFrom implements serverconfig.Admin.
func (s *Server) grantsFrom() time.Time {
	at := s.nodes.grantsFrom()
	if at == 0 {
		return time.Time{}
	}

	return s.clock.Time(at).UTC().Truncate(time.Millisecond)
}

// grantsIn returns for how long nothing is granted. It is above 0 until the nodes grant.
func (s *Server) grantsIn() time.Duration {
	at := s.nodes.grantsFrom()
	if at == 0 {
		return 0
	}

	return max(at.Sub(s.clock.Now()), time.Millisecond)
}
