package server

import (
	"context"
	"errors"

	"tenure/internal/serverstats"
	"tenure/internal/store"
)

// clusterStats returns the numbers that only a server has which shares its store, or nil.
func (s *Server) clusterStats(ctx context.Context) *serverstats.Cluster {
	if s.front == nil {
		return nil
	}
	c := &serverstats.Cluster{OwnerChanges: s.counts.owners.all(), Silence: s.front.members.Silence()}
	if counted, ok := s.store.(interface{ Numbers() serverstats.Common }); ok {
		c.Common = counted.Numbers()
	}
	if living, err := s.front.members.Living(ctx); err == nil {
		c.Servers = len(living)
		for _, m := range living {
			c.Registered = c.Registered || m.ID == s.front.members.Self().ID
		}
	}
	s.front.mu.Lock()
	c.Forwarded = len(s.front.streams)
	s.front.mu.Unlock()

	return c
}

// countOwner counts that this server has got or lost a node, if servers share the store.
func (env *ownerEnv) countOwner(reason string) {
	if env.store.Shared() {
		env.counts.owners.add(reason)
	}
}

// countEnd counts why this server no longer serves the node, if it has served it.
func (o *owner) countEnd(err error) {
	select {
	case <-o.claimed:
	default:
		return
	}
	_, handed := errors.AsType[*handOver](err)
	switch {
	case errors.Is(err, errIdle): // the node stays with this server
	case handed:
		o.env.countOwner("handed_over")
	case errors.Is(err, store.ErrFenced):
		o.env.countOwner("fenced")
	case errors.Is(err, errStopping):
		o.env.countOwner("stopped")
	case errors.Is(err, errDropped):
		o.env.countOwner("dropped")
	default:
		o.env.countOwner("failed")
	}
}
