package storetest

import (
	"context"
	"slices"

	"tenure/internal/store"
)

// ClaimUnder implements store.Moves.
func (s *Server) ClaimUnder(ctx context.Context, space store.Space, terms store.Terms) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	owner := c.owners[space]
	elsewhere := func(id string) bool { return id != "" && id != s.name && !slices.Contains(terms.Avoid, id) }
	switch target := c.targets[space]; {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case space.Check() != nil || space == store.Catalog:
		return space.Check()
	case c.dropped[space]:
		return store.ErrDropped
	case owner == s:
		return nil
	case owner != nil && !owner.vanished:
		return &store.OwnedError{Server: owner.name}
	case owner == nil && elsewhere(target) && c.lives(target):
		return &store.OwnedError{Server: target}
	case elsewhere(terms.Target):
		return &store.OwnedError{Server: terms.Target}
	}
	c.owners[space] = s
	delete(c.targets, space)

	return nil
}

// lives is called with mu held.
func (c *Cluster) lives(name string) bool {
	return slices.ContainsFunc(c.servers, func(s *Server) bool { return s.name == name && !s.vanished })
}

// Release implements store.Moves.
func (s *Server) Release(_ context.Context, space store.Space, to string) error {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	if s.cluster.owners[space] == s {
		delete(s.cluster.owners, space)
		s.cluster.targets[space] = to
	}

	return nil
}

// Leave implements store.Moves.
func (s *Server) Leave(context.Context) error {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.leaving = true

	return nil
}

// Remove implements store.Moves. A server that lives and was removed does not come back.
func (s *Server) Remove(_ context.Context, id string) (bool, error) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	was := s.cluster.lives(id)
	for _, other := range s.cluster.servers {
		if other.name == id {
			other.vanished = true
		}
	}

	return was, nil
}

var _ store.Moves = (*Server)(nil)
