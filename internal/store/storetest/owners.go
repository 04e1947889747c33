package storetest

import (
	"context"

	"tenure/internal/store"
)

// Owners implements store.Owners.
func (s *Server) Owners(context.Context) (map[store.Space]string, error) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	owners := make(map[store.Space]string)
	for space, owner := range s.cluster.owners {
		owners[space] = owner.name
	}

	return owners, nil
}

var _ store.Owners = (*Server)(nil)
