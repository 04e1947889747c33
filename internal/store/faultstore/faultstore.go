// Package faultstore makes a store fail on purpose. A predicate chooses the calls that fail, before or after they reach
// the store. Each fault counts its hits, so that a test can check that it occurred.
package faultstore

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"tenure/internal/node"
	"tenure/internal/store"
)

// Op identifies a method of a store.
type Op string

// The methods of a store.
const (
	Claim    Op = "claim"
	Confirm  Op = "confirm"
	Load     Op = "load"
	Snapshot Op = "snapshot"
	Commit   Op = "commit"
	Close    Op = "close"
)

// Call describes one call of a method.
type Call struct {
	Op    Op
	N     int         // counts the calls of Op on this store, from 1
	Space store.Space // set for Claim, Confirm, Load and Commit
	Batch store.Batch // set for Commit
}

// Fault says which calls fail and how. Do not change its exported fields once it is in use. Several stores may share a
// Fault.
type Fault struct {
	When func(Call) bool // selects the calls; nil selects every call

	// Pause, if set, is called before the call does anything else, and the call waits until Pause returns. Pause gets
	// the context of the call, or context.Background() for Close. It may be called concurrently.
	Pause func(context.Context, Call)

	// Err, if set, is the error that the call returns. The call reaches the store only if Applied is set, and then
	// before it returns Err.
	Err     error
	Applied bool

	hits atomic.Int64
}

// Hits returns how many calls the fault has affected, including calls that are still paused.
func (f *Fault) Hits() int { return int(f.hits.Load()) }

// Nth returns a predicate that selects the n-th call of op, counted from 1.
func Nth(op Op, n int) func(Call) bool {
	return func(c Call) bool { return c.Op == op && c.N == n }
}

// From returns a predicate that selects the n-th call of op, counted from 1, and every later one.
func From(op Op, n int) func(Call) bool {
	return func(c Call) bool { return c.Op == op && c.N >= n }
}

// Each returns a predicate that selects every call of op.
func Each(op Op) func(Call) bool { return From(op, 1) }

// Store passes calls on to another store and injects faults into them.
type Store struct {
	store  store.Store
	faults []*Fault

	mu    sync.Mutex // guards calls
	calls map[Op]int
}

// Wrap returns a store that passes calls on to s. The first fault whose When selects a call affects that call.
func Wrap(s store.Store, faults ...*Fault) *Store {
	return &Store{store: s, faults: faults, calls: make(map[Op]int)}
}

// Shared implements store.Store.
func (s *Store) Shared() bool { return s.store.Shared() }

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, space store.Space) error {
	return s.strike(ctx, Call{Op: Claim, Space: space}).run(func() error { return s.store.Claim(ctx, space) })
}

// Confirm implements store.Store.
func (s *Store) Confirm(ctx context.Context, space store.Space) error {
	return s.strike(ctx, Call{Op: Confirm, Space: space}).run(func() error { return s.store.Confirm(ctx, space) })
}

// Load implements store.Store. A fault with Applied yields its error after all records, as if the last read had failed.
func (s *Store) Load(ctx context.Context, space store.Space) iter.Seq2[node.Record, error] {
	return func(yield func(node.Record, error) bool) {
		f := s.strike(ctx, Call{Op: Load, Space: space})
		if f.Err == nil || f.Applied {
			for r, err := range s.store.Load(ctx, space) {
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
		if f.Err != nil {
			yield(node.Record{}, f.Err)
		}
	}
}

// Snapshot implements store.Store. A fault with Applied yields its error after all records.
func (s *Store) Snapshot(ctx context.Context) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		f := s.strike(ctx, Call{Op: Snapshot})
		if f.Err == nil || f.Applied {
			for r, err := range s.store.Snapshot(ctx) {
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
		if f.Err != nil {
			yield(store.Record{}, f.Err)
		}
	}
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, b store.Batch) error {
	return s.strike(ctx, Call{Op: Commit, Space: b.Space, Batch: b}).run(func() error { return s.store.Commit(ctx, b) })
}

// Close implements store.Store. The underlying store stays open if a fault keeps the call from reaching it.
func (s *Store) Close() error {
	return s.strike(context.Background(), Call{Op: Close}).run(s.store.Close)
}

// run makes the call unless the fault prevents that, and returns the resulting error.
func (f *Fault) run(call func() error) error {
	if f.Err == nil {
		return call()
	}
	if f.Applied {
		if err := call(); err != nil {
			return err // nothing was applied, so Err is not the outcome
		}
	}

	return f.Err
}

// strike counts the call, finds the fault that affects it and pauses if the fault says so. If no fault affects the
// call, strike returns one that does nothing.
func (s *Store) strike(ctx context.Context, c Call) *Fault {
	s.mu.Lock()
	s.calls[c.Op]++
	c.N = s.calls[c.Op]
	s.mu.Unlock()

	for _, f := range s.faults {
		if f.When != nil && !f.When(c) {
			continue
		}
		f.hits.Add(1)
		if f.Pause != nil {
			f.Pause(ctx, c)
		}

		return f
	}

	return &Fault{}
}

var _ store.Store = (*Store)(nil)
