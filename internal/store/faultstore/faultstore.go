// Package faultstore makes a store fail on purpose: by predicate, before a call reaches the store or after, and it
// counts, so that a test can tell that the fault was hit.
package faultstore

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"tenure/internal/node"
	"tenure/internal/store"
)

// Op is a method of a store.
type Op string

// The methods of a store.
const (
	Load   Op = "load"
	Commit Op = "commit"
	Close  Op = "close"
)

// Call is one call of a method.
type Call struct {
	Op    Op
	N     int         // which call of Op on this store it is, from 1
	Space store.Space // of Load and Commit
	Batch store.Batch // of Commit
}

// Fault is what goes wrong, and when. Its exported fields are not to be changed once it is in use; one Fault may be
// used by several stores.
type Fault struct {
	When func(Call) bool // nil: at every call

	// Pause, if set, is called before anything else happens, with the call's context (Close has none of its own); the
	// call waits until it returns. Several calls may be in it at once.
	Pause func(context.Context, Call)

	// Err, if set, is what the call returns. The call does not reach the store, or, with Applied, does first.
	Err     error
	Applied bool

	hits atomic.Int64
}

// Hits returns how often the fault has struck; a call that still pauses counts.
func (f *Fault) Hits() int { return int(f.hits.Load()) }

// Nth is the n-th call of op, from 1.
func Nth(op Op, n int) func(Call) bool {
	return func(c Call) bool { return c.Op == op && c.N == n }
}

// From is the n-th call of op, from 1, and every later one.
func From(op Op, n int) func(Call) bool {
	return func(c Call) bool { return c.Op == op && c.N >= n }
}

// Each is every call of op.
func Each(op Op) func(Call) bool { return From(op, 1) }

// Store passes calls on to a store, except where a fault strikes.
type Store struct {
	store  store.Store
	faults []*Fault

	mu    sync.Mutex // guards calls
	calls map[Op]int
}

// Wrap returns a store that passes calls on to s; of the faults the first whose When holds strikes.
func Wrap(s store.Store, faults ...*Fault) *Store {
	return &Store{store: s, faults: faults, calls: make(map[Op]int)}
}

// Load implements store.Store. An error with Applied comes after all records, as if the last read had failed.
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

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, b store.Batch) error {
	return s.strike(ctx, Call{Op: Commit, Space: b.Space, Batch: b}).run(func() error { return s.store.Commit(ctx, b) })
}

// Close implements store.Store. A Close that does not reach the store leaves it open.
func (s *Store) Close() error {
	return s.strike(context.Background(), Call{Op: Close}).run(s.store.Close)
}

// run makes the call, unless the fault keeps it from the store.
func (f *Fault) run(call func() error) error {
	if f.Err == nil {
		return call()
	}
	if f.Applied {
		if err := call(); err != nil {
			return err // what was to be applied was not
		}
	}

	return f.Err
}

// strike counts the call and returns the fault that it meets, paused already; none is a Fault that does nothing.
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
