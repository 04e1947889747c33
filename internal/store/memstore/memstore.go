// Package memstore stores records in memory, for tests and for servers whose data need not outlive the process.
package memstore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"tenure/internal/node"
	"tenure/internal/store"
)

// Disk holds the records that survive a Close. It plays the part of a store's directory on a real disk. The zero Disk
// is empty. Only one store on a Disk can be open at a time. A Disk must not be copied.
type Disk struct {
	mu     sync.Mutex // guards all fields below
	open   bool
	spaces map[store.Space]map[string][]byte // values are never modified in place
}

// Open opens a store on the records of the disk. It returns store.ErrLocked while another store on the disk is open.
func (d *Disk) Open() (*Store, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open {
		return nil, store.ErrLocked
	}
	d.open = true

	return &Store{disk: d}, nil
}

// New returns an empty store whose records are lost when it is closed.
func New() *Store { return &Store{disk: &Disk{open: true}} }

// Store is a store.Store on a Disk.
type Store struct {
	disk   *Disk
	closed bool // guarded by disk.mu
}

// Shared implements store.Store.
func (s *Store) Shared() bool { return false }

// Claim implements store.Store. Only one store on the disk is open, so nobody else can claim anything.
func (s *Store) Claim(ctx context.Context, space store.Space) error {
	return cmp.Or(ctx.Err(), space.Check())
}

// Confirm implements store.Store.
func (s *Store) Confirm(context.Context, store.Space) error { return nil }

// Load implements store.Store. It yields the records that the space has when the loop begins.
func (s *Store) Load(ctx context.Context, space store.Space) iter.Seq2[node.Record, error] {
	return func(yield func(node.Record, error) bool) {
		records, err := s.records(space)
		for ; err == nil && len(records) > 0; records = records[1:] {
			if err = ctx.Err(); err == nil && !yield(records[0], nil) {
				return
			}
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			yield(node.Record{}, err)
		}
	}
}

func (s *Store) records(space store.Space) ([]node.Record, error) {
	if err := space.Check(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	records := make([]node.Record, 0, len(s.disk.spaces[space]))
	for key, value := range s.disk.spaces[space] {
		records = append(records, node.Record{Key: []byte(key), Value: value})
	}
	slices.SortFunc(records, func(a, b node.Record) int { return cmp.Compare(string(a.Key), string(b.Key)) })

	return records, nil
}

// Snapshot implements store.Store. It stops commits while it copies the keys, but not the values, of all records.
func (s *Store) Snapshot(ctx context.Context) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		records, err := s.all()
		for ; err == nil && len(records) > 0; records = records[1:] {
			if err = ctx.Err(); err == nil && !yield(records[0], nil) {
				return
			}
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			yield(store.Record{}, err)
		}
	}
}

func (s *Store) all() ([]store.Record, error) {
	records, err := s.unsorted()
	slices.SortFunc(records, func(a, b store.Record) int {
		return cmp.Or(cmp.Compare(a.Space, b.Space), bytes.Compare(a.Key, b.Key))
	})

	return records, err
}

func (s *Store) unsorted() ([]store.Record, error) {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	n := 0
	for _, records := range s.disk.spaces {
		n += len(records)
	}
	all := make([]store.Record, 0, n)
	for space, records := range s.disk.spaces {
		for key, value := range records {
			all = append(all, store.Record{Space: space, Record: node.Record{Key: []byte(key), Value: value}})
		}
	}

	return all, nil
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, b store.Batch) error {
	if err := cmp.Or(ctx.Err(), b.Check()); err != nil {
		return err
	}
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	s.disk.apply(b)

	return nil
}

func (d *Disk) apply(b store.Batch) {
	for _, space := range b.Drop {
		delete(d.spaces, space)
	}
	records := d.spaces[b.Space]
	if records == nil {
		records = make(map[string][]byte)
	}
	for _, r := range b.Changes {
		if r.Value == nil {
			delete(records, string(r.Key))
		} else {
			records[string(r.Key)] = slices.Clone(r.Value)
		}
	}
	if d.spaces == nil {
		d.spaces = make(map[store.Space]map[string][]byte)
	}
	d.spaces[b.Space] = records
}

// Close implements store.Store. The disk keeps the committed records and can be opened again.
func (s *Store) Close() error {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	if !s.closed {
		s.closed, s.disk.open = true, false
	}

	return nil
}

var _ store.Store = (*Store)(nil)
