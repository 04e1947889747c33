package etcdstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"tenure/internal/clock"
	"tenure/internal/ownership"
	"tenure/internal/serverstats"
	"tenure/internal/store"
)

// Options are the options of Open. Durations that are zero have default values.
type Options struct {
	Client *clientv3.Client // its owner closes it, after the store
	Prefix string           // of all keys; may be empty
	Member store.Member     // what others learn of this server; Open chooses the ID
	Clock  clock.Clock      // nil: that of package time

	// Database is the name of the database whose servers share the prefix. Those of another one cannot open it.
	Database string

	// TTL is how long the server seems to be alive after it has died, in whole seconds; default 3 s. etcd grants at least
	// the time of an election, 2 s by default.
	TTL time.Duration
	// Settle is how long the server claims nothing from servers that seem to be gone; default TTL.
	Settle time.Duration

	// Unregistered is called when this server has seemed to be dead although it lives, and is about to register again. It
	// must not block. It may be nil.
	Unregistered func()

	// Compact is the interval at which one of the servers with the prefix removes the history of etcd, also that of its
	// other users; 0: never. Compacted is called after this server has done so, or has failed. It may be nil.
	Compact   time.Duration
	Compacted func(revision int64, err error)
}

// closeGrace is how long Close waits for calls that cannot proceed, and for the hand-over of one space.
const closeGrace = 500 * time.Millisecond

// Store is a store.Store in etcd.
type Store struct {
	etcd         *etcd
	self         store.Member
	secret       []byte
	registration *registration
	members      *members
	removed      removed
	catalog      *catalog
	health       *health
	client       *clientv3.Client // closed with the store; nil: none

	ctx     context.Context // ends when the store is closed
	cancel  context.CancelCauseFunc
	running sync.WaitGroup // goroutines
	calls   sync.WaitGroup // calls in progress; mu is held for calls.Add

	mu     sync.Mutex // guards the following fields
	closed bool
	owners map[store.Space]*owner

	closeOnce sync.Once
}

// Open opens the store. It returns store.ErrNewer if the keys have a format that this version cannot read. It waits
// until etcd answers or ctx ends.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Clock == nil {
		o.Clock = clock.Go()
	}
	o.TTL = cmp.Or(o.TTL, 3*time.Second)
	o.Settle = cmp.Or(o.Settle, o.TTL)
	e := &etcd{
		client: o.Client, prefix: o.Prefix, clock: o.Clock, leader: &leader{client: o.Client, clock: o.Clock},
	}
	err := e.checkFormat(ctx, o.Database)
	if err != nil {
		return nil, fmt.Errorf("open store %q in etcd: %w", o.Prefix, err)
	}
	o.Member.ID = rand.Text()
	s := &Store{etcd: e, self: o.Member, owners: make(map[store.Space]*owner), catalog: &catalog{}}
	s.health = &health{etcd: e, answered: o.Clock.Now()}
	s.catalog.follower = newFollower(e, ownership.CatalogKeys, ownership.CatalogEnd(), s.catalog.taken)
	if s.secret, err = e.readSecret(ctx); err != nil {
		return nil, fmt.Errorf("open store %q in etcd: %w", o.Prefix, err)
	}
	s.registration = newRegistration(e, o)
	s.members = newMembers(e, s.self.ID, s.registration.doubt)
	if err := s.succeed(ctx); err != nil {
		return nil, fmt.Errorf("open store %q in etcd: %w", o.Prefix, err)
	}
	s.ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	s.running.Go(func() { s.registration.run(s.ctx) })
	s.running.Go(func() { s.members.follower.run(s.ctx) })
	s.running.Go(func() { s.health.run(s.ctx) })
	s.running.Go(func() { e.leader.run(s.ctx) })
	s.running.Go(func() { s.cleanAll(s.ctx) })
	if o.Compact > 0 {
		c := &compactor{etcd: e, interval: o.Compact, done: o.Compacted}
		if c.done == nil {
			c.done = func(int64, error) {}
		}
		s.running.Go(func() { c.run(s.ctx) })
	}

	return s, nil
}

// begin starts a call, which end ends, or returns an error.
func (s *Store) begin(ctx context.Context) (end func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.calls.Add(1)

	return s.calls.Done, nil
}

// Shared implements store.Store.
func (*Store) Shared() bool { return true }

// Claim implements store.Store. The catalog is not claimed: see store.Common.
func (s *Store) Claim(ctx context.Context, space store.Space) error {
	return s.ClaimUnder(ctx, space, store.Terms{})
}

// ClaimUnder implements store.Moves.
func (s *Store) ClaimUnder(ctx context.Context, space store.Space, terms store.Terms) error {
	if err := space.Check(); err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if space == store.Catalog {
		return nil
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	for {
		current, err := s.registration.get(ctx)
		if err != nil {
			return fmt.Errorf("claim space %d: %w", space, err)
		}
		switch err := s.claim(ctx, space, current, terms); {
		case errors.Is(err, ownership.ErrUnregistered):
			s.registration.lost(ctx, current)
		case err != nil:
			return fmt.Errorf("claim space %d: %w", space, err)
		default:
			return nil
		}
	}
}

// bound returns a context that also ends when the store gives its calls up.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })

	return ctx, func() {
		stop()
		cancel(nil)
	}
}

func (s *Store) claim(ctx context.Context, space store.Space, r registered, terms store.Terms) error {
	if old := s.owner(space); old != nil {
		old.stop(errReplaced)
	}
	o := newOwner(s.ctx, s.etcd, ownership.Config{
		Server: s.self.ID, Registration: r.revision, Settled: s.etcd.clock.Now() >= r.settled, Space: space,
		Gone: s.removed.list(), Target: terms.Target, Avoid: terms.Avoid,
	})
	s.mu.Lock()
	s.owners[space] = o
	s.mu.Unlock()

	return o.claim(ctx)
}

func (s *Store) owner(space store.Space) *owner {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.owners[space]
}

var errNotClaimed = errors.New("the space has not been claimed")

// Confirm implements store.Store.
func (s *Store) Confirm(ctx context.Context, space store.Space) error {
	end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if space == store.Catalog {
		return nil
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	err = errNotClaimed
	if o := s.owner(space); o != nil {
		began := s.etcd.clock.Now()
		if err = s.prove(ctx, o); err == nil {
			took := s.etcd.clock.Now().Sub(began).Seconds()
			s.etcd.numbers.add(func(n *serverstats.Common) { n.Proofs.Observe(took) })
		}
	}
	if err != nil {
		return fmt.Errorf("confirm the claim of space %d: %w", space, err)
	}

	return nil
}

// Commit implements store.Store. A batch of the catalog overwrites what other servers have written.
func (s *Store) Commit(ctx context.Context, b store.Batch) error {
	if err := cmp.Or(b.Check(), ownership.Check(b)); err != nil {
		return err
	}
	if b.Space == store.Catalog {
		return s.overwrite(ctx, b)
	}
	end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := s.bound(ctx)
	defer cancel()
	err = errNotClaimed
	if o := s.owner(b.Space); o != nil {
		err = o.write(ctx, b)
	}
	if err != nil {
		return fmt.Errorf("commit to space %d: %w", b.Space, err)
	}
	if len(b.Drop) > 0 {
		s.running.Go(func() { s.cleanAll(s.ctx) })
	}

	return nil
}

// Close implements store.Store. It hands the spaces over to any server that claims them. If etcd does not answer, Close
// gives up calls in progress, and other servers have to wait until the registration expires.
func (s *Store) Close() error {
	var err error
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		waited := make(chan struct{})
		go func() {
			defer close(waited)
			s.calls.Wait()
		}()
		ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
		defer cancel()
		select {
		case <-waited:
			s.registration.silent.Store(!s.release())
			s.cancel(store.ErrClosed)
		case <-ctx.Done():
			s.registration.silent.Store(true)
			s.cancel(store.ErrClosed)
			<-waited
		}
		for _, o := range s.owners {
			o.stop(store.ErrClosed)
		}
		s.running.Wait()
		if s.client != nil {
			err = s.client.Close()
		}
	})

	return err
}

// release hands all spaces over. It returns false if etcd does not answer.
func (s *Store) release() bool {
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(16)
	for _, o := range s.owners {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, closeGrace)
			defer cancel()

			_ = o.release(ctx, "")

			return ctx.Err()
		})
	}

	return group.Wait() == nil
}

var _ store.Store = (*Store)(nil)
