package storetest

import (
	"context"
	"sync"

	"tenure/internal/store"
)

// claiming wraps a store so that it claims a space before the first commit to it, as a server does.
type claiming struct {
	store.Store

	mu      sync.Mutex // guards claimed
	claimed map[store.Space]bool
}

// claimed returns open with stores that claim by themselves.
func claimed(open func() (store.Store, error)) func() (store.Store, error) {
	return func() (store.Store, error) {
		s, err := open()
		if err != nil {
			return nil, err
		}

		return &claiming{Store: s, claimed: make(map[store.Space]bool)}, nil
	}
}

func (s *claiming) Commit(ctx context.Context, b store.Batch) error {
	if err := s.claim(ctx, b); err != nil {
		return err
	}

	return s.Store.Commit(ctx, b)
}

func (s *claiming) claim(ctx context.Context, b store.Batch) error {
	if refused := b.Check() != nil || ctx.Err() != nil; refused { // by Commit
		return nil
	}
	s.mu.Lock()
	done := s.claimed[b.Space]
	s.claimed[b.Space] = true
	s.mu.Unlock()
	if done {
		return nil
	}

	return s.Claim(ctx, b.Space)
}
