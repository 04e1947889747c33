package storetest

import (
	"context"
	"sync"
	"sync/atomic"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/memstore"
)

// Cluster keeps records in memory, for several servers in one process. The zero Cluster is not usable: call NewCluster.
type Cluster struct {
	mu      sync.Mutex // guards the following fields
	records store.Store
	version uint64 // of the catalog
	owners  map[store.Space]*Server
	targets map[store.Space]string // of spaces that have no owner because they were handed over
	dropped map[store.Space]bool
	servers []*Server
	members []*Member
}

// NewCluster returns an empty cluster.
func NewCluster() *Cluster {
	return &Cluster{
		records: memstore.New(), owners: make(map[store.Space]*Server),
		targets: make(map[store.Space]string), dropped: make(map[store.Space]bool),
	}
}

// Server is a store.Common: one server's part of a Cluster.
type Server struct {
	store.Store // of the cluster

	name    string
	cluster *Cluster
	closed  chan struct{}
	once    sync.Once
	running sync.WaitGroup
	asked   atomic.Int64 // whether the cluster can be reached

	vanished bool // guarded by the mutex of the cluster, as is leaving
	leaving  bool

	mu      sync.Mutex // guards the following fields
	cut     bool       // nothing reaches the cluster
	held    bool       // updates wait
	pending []store.Update
	seen    uint64
	moved   chan struct{} // closed and replaced when something changes
}

// Open returns the part of a further server.
func (c *Cluster) Open(name string) *Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &Server{Store: c.records, name: name, cluster: c, closed: make(chan struct{}), moved: make(chan struct{})}
	c.servers = append(c.servers, s)

	return s
}

// Hold makes updates of the catalog wait, as if the server's watch were slow, until it is called with false.
func (s *Server) Hold(held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
	s.notify()
}

// notify is called with mu held.
func (s *Server) notify() {
	close(s.moved)
	s.moved = make(chan struct{})
}

// Shared implements store.Store.
func (*Server) Shared() bool { return true }

// Claim implements store.Store.
func (s *Server) Claim(ctx context.Context, space store.Space) error {
	return s.ClaimUnder(ctx, space, store.Terms{})
}

// Confirm implements store.Store.
func (s *Server) Confirm(ctx context.Context, space store.Space) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()

	return s.fenced(space)
}

// fenced is called with the cluster's mu held.
func (s *Server) fenced(space store.Space) error {
	switch {
	case space == store.Catalog || s.cluster.owners[space] == s:
		return nil
	case s.cluster.dropped[space]:
		return store.ErrDropped
	}

	return store.ErrFenced
}

// Commit implements store.Store.
func (s *Server) Commit(ctx context.Context, b store.Batch) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	if err := s.fenced(b.Space); err != nil {
		return err
	}

	return s.cluster.commit(ctx, b)
}

// commit is called with mu held.
func (c *Cluster) commit(ctx context.Context, b store.Batch) error {
	if err := c.records.Commit(ctx, b); err != nil {
		return err
	}
	for _, space := range b.Drop {
		c.dropped[space] = true
		delete(c.owners, space)
	}
	if b.Space != store.Catalog {
		return nil
	}
	c.version++
	changed := make(map[string]node.Record)
	for _, r := range b.Changes {
		changed[string(r.Key)] = r
	}
	u := store.Update{Version: c.version, Records: sorted(changed)}
	for _, s := range c.servers {
		s.mu.Lock()
		s.pending = append(s.pending, u)
		s.notify()
		s.mu.Unlock()
	}

	return nil
}

// Follow implements store.Common.
func (s *Server) Follow(ctx context.Context, take func(store.Update)) error {
	s.cluster.mu.Lock()
	u := store.Update{Version: s.cluster.version, All: true}
	for r, err := range s.cluster.records.Load(ctx, store.Catalog) {
		if err != nil {
			s.cluster.mu.Unlock()

			return err
		}
		u.Records = append(u.Records, r)
	}
	s.mu.Lock()
	s.pending, s.seen = nil, u.Version
	s.mu.Unlock()
	s.cluster.mu.Unlock()
	take(u)
	s.running.Go(func() { s.run(take) })

	return nil
}

func (s *Server) run(take func(store.Update)) {
	for {
		s.mu.Lock()
		updates, moved := s.pending, s.moved
		if s.held {
			updates = nil
		} else {
			s.pending = nil
		}
		s.mu.Unlock()
		for _, u := range updates {
			take(u)
			s.mu.Lock()
			s.seen = u.Version
			s.notify()
			s.mu.Unlock()
		}
		if len(updates) > 0 {
			continue
		}
		select {
		case <-moved:
		case <-s.closed:
			return
		}
	}
}

// Sync implements store.Common.
func (s *Server) Sync(ctx context.Context) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	s.cluster.mu.Lock()
	version := s.cluster.version
	s.cluster.mu.Unlock()

	return s.until(ctx, version)
}

func (s *Server) until(ctx context.Context, version uint64) error {
	select {
	case <-s.closed:
		return store.ErrClosed
	default:
		return s.await(ctx, func() bool { return s.seen >= version })
	}
}

// await waits until the condition is true, which is called with mu held. It looks again at each notify.
func (s *Server) await(ctx context.Context, ready func() bool) error {
	for {
		s.mu.Lock()
		is, moved := ready(), s.moved
		s.mu.Unlock()
		if is {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.closed:
			return store.ErrClosed
		}
	}
}

// CommitAt implements store.Common.
func (s *Server) CommitAt(ctx context.Context, version uint64, b store.Batch) error {
	if err := s.until(ctx, 0); err != nil {
		return err
	}
	s.cluster.mu.Lock()
	now, err := s.cluster.version, store.ErrChanged
	if now == version {
		err = s.cluster.commit(ctx, b)
		now = s.cluster.version
	}
	s.cluster.mu.Unlock()
	if late := s.until(ctx, now); late != nil && err != nil {
		return late
	}

	return err
}

// Close implements store.Store. The records stay. Other servers can claim the spaces.
func (s *Server) Close() error {
	s.once.Do(func() {
		close(s.closed)
		s.running.Wait()
		s.cluster.mu.Lock()
		defer s.cluster.mu.Unlock()
		s.vanished = true
		for space, owner := range s.cluster.owners {
			if owner == s {
				delete(s.cluster.owners, space)
			}
		}
	})

	return nil
}

var _ store.Common = (*Server)(nil)
