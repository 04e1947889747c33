package storetest

import (
	"context"
	"math"
	"time"

	"tenure/internal/store"
)

// Cut keeps what the server does from reaching the cluster, until it is called with false.
func (s *Server) Cut(cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = cut
	s.notify()
}

// Silence implements store.Contact.
func (s *Server) Silence() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return math.MaxInt64
	}

	return 0
}

// Reach implements store.Contact.
func (s *Server) Reach(ctx context.Context) error {
	s.asked.Add(1)

	return s.reach(ctx)
}

// Asked returns how often Reach was called.
func (s *Server) Asked() int64 { return s.asked.Load() }

func (s *Server) reach(ctx context.Context) error {
	return s.await(ctx, func() bool { return !s.cut })
}

var _ store.Contact = (*Server)(nil)
