// Package sharedtest is a store in memory that several servers share, for tests. It claims and fences as a real one
// does, but it never waits. All of them may write to the catalog.
package sharedtest

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/memstore"
)

// Cluster is what the stores of all servers have in common. The zero value is not usable.
type Cluster struct {
	records store.Store

	mu     sync.Mutex // guards the rest
	joined int
	living map[string]store.Member
	owners map[store.Space]owner
}

type owner struct {
	server  string // "": none
	epoch   int
	dropped bool
}

// New returns a cluster without servers.
func New() *Cluster {
	return &Cluster{
		records: memstore.New(), living: make(map[string]store.Member), owners: make(map[store.Space]owner),
	}
}

// Join adds a server, whose clients reach it at the address. It returns the server's store.
func (c *Cluster) Join(address string) *Store {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined++
	m := store.Member{ID: fmt.Sprintf("server-%d", c.joined), Address: address}
	c.living[m.ID] = m

	return &Store{cluster: c, self: m, claims: make(map[store.Space]int)}
}

// Store is the store of one server.
type Store struct {
	cluster *Cluster
	self    store.Member
	claims  map[store.Space]int // epochs; guarded by the mutex of the cluster
}

// Vanish makes the server seem to be gone. It keeps what it has claimed until another server claims it.
func (s *Store) Vanish() {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	delete(s.cluster.living, s.self.ID)
}

// Seize claims the space, also from a server that lives.
func (s *Store) Seize(space store.Space) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.take(space)
}

// Owner returns the id of the server that owns the space.
func (c *Cluster) Owner(space store.Space) string {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.owners[space].server
}

// take is called with the mutex held.
func (s *Store) take(space store.Space) {
	epoch := s.cluster.owners[space].epoch + 1
	s.cluster.owners[space] = owner{server: s.self.ID, epoch: epoch}
	s.claims[space] = epoch
}

// Shared implements store.Store.
func (*Store) Shared() bool { return true }

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, space store.Space) error {
	if err := cmp.Or(ctx.Err(), space.Check()); err != nil || space == store.Catalog {
		return err
	}
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	o := s.cluster.owners[space]
	_, alive := s.cluster.living[o.server]
	switch {
	case o.dropped:
		return store.ErrDropped
	case alive && o.server != s.self.ID:
		return &store.OwnedError{Server: o.server}
	}
	s.take(space)

	return nil
}

// check is called with the mutex held.
func (s *Store) check(space store.Space) error {
	switch o := s.cluster.owners[space]; {
	case space == store.Catalog:
		return nil
	case o.dropped:
		return store.ErrDropped
	case o.server != s.self.ID || o.epoch != s.claims[space]:
		return store.ErrFenced
	default:
		return nil
	}
}

// Confirm implements store.Store.
func (s *Store) Confirm(_ context.Context, space store.Space) error {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()

	return s.check(space)
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, b store.Batch) error {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	if err := s.check(b.Space); err != nil {
		return err
	}
	for _, space := range b.Drop {
		s.cluster.owners[space] = owner{epoch: s.cluster.owners[space].epoch + 1, dropped: true}
	}

	return s.cluster.records.Commit(ctx, b)
}

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, space store.Space) iter.Seq2[node.Record, error] {
	return s.cluster.records.Load(ctx, space)
}

// Snapshot implements store.Store.
func (s *Store) Snapshot(ctx context.Context) iter.Seq2[store.Record, error] {
	return s.cluster.records.Snapshot(ctx)
}

// Close implements store.Store. It hands the server's spaces over.
func (s *Store) Close() error {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	delete(s.cluster.living, s.self.ID)
	for space, o := range s.cluster.owners {
		if o.server == s.self.ID {
			s.cluster.owners[space] = owner{epoch: o.epoch + 1}
		}
	}

	return nil
}

// Self implements store.Members.
func (s *Store) Self() store.Member { return s.self }

// Living implements store.Members.
func (s *Store) Living(context.Context) ([]store.Member, error) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()

	return slices.SortedFunc(maps.Values(s.cluster.living), func(a, b store.Member) int {
		return cmp.Compare(a.ID, b.ID)
	}), nil
}

// Member implements store.Members.
func (s *Store) Member(_ context.Context, id string) (store.Member, bool, error) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	m, ok := s.cluster.living[id]

	return m, ok, nil
}

// Secret implements store.Members.
func (s *Store) Secret() []byte { return []byte("the secret of all servers") }

var (
	_ store.Store   = (*Store)(nil)
	_ store.Members = (*Store)(nil)
)
