package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	"tenure/internal/node"
	"tenure/internal/store"
)

var errDisk = errors.New("disk on fire")

// mapStore is a store in memory. Tests can delay its commits or make them fail.
type mapStore struct {
	gate    chan struct{} // commits wait until it is closed; nil if they need not wait
	arrived chan struct{} // receives a value when a commit arrives at the gate

	mu       sync.Mutex // protects the fields below
	spaces   map[store.Space]map[string][]byte
	commits  int
	failing  bool
	stores   bool // a failing commit stores its batch before it fails
	failures int
}

func newMapStore() *mapStore {
	return &mapStore{spaces: make(map[store.Space]map[string][]byte)}
}

func (s *mapStore) fail(stores bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing, s.stores = true, stores
}

func (s *mapStore) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = false
}

func (s *mapStore) Load(_ context.Context, space store.Space) iter.Seq2[node.Record, error] {
	s.mu.Lock()
	records := maps.Clone(s.spaces[space])
	s.mu.Unlock()

	return func(yield func(node.Record, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(records)) {
			if !yield(node.Record{Key: []byte(key), Value: records[key]}, nil) {
				return
			}
		}
	}
}

func (s *mapStore) Snapshot(context.Context) iter.Seq2[store.Record, error] { return nil } // the catalog needs none

func (s *mapStore) Claim(context.Context, store.Space) error { return nil } // it has only one user
func (s *mapStore) Shared() bool                             { return false }

func (s *mapStore) Confirm(context.Context, store.Space) error { return nil }

func (s *mapStore) Commit(ctx context.Context, b store.Batch) error {
	if s.gate != nil {
		s.arrived <- struct{}{}
		<-s.gate
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()

	s.commits++
	if s.failing {
		s.failures++
	}
	if !s.failing || s.stores {
		s.apply(b)
	}
	if s.failing {
		return errDisk
	}

	return nil
}

func (s *mapStore) apply(b store.Batch) {
	if s.spaces[b.Space] == nil {
		s.spaces[b.Space] = make(map[string][]byte)
	}
	for _, r := range b.Changes {
		if r.Value == nil {
			delete(s.spaces[b.Space], string(r.Key))
		} else {
			s.spaces[b.Space][string(r.Key)] = bytes.Clone(r.Value)
		}
	}
	for _, space := range b.Drop {
		delete(s.spaces, space)
	}
}

func (s *mapStore) Close() error { return nil }
