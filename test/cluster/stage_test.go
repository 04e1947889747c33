package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clock"
	"tenure/test/cluster/clustertest"
)

// A stage is a cluster with clients that work all the time, and witnesses of what they do.
type stage struct {
	*testing.T
	*clustertest.Cluster

	clock   clock.Clock
	witness *witness
	history *history
	service *service
	clients []*client
	locks   *locks
	gaps    map[string][]gap // by fault
	stall   stall

	ctx     context.Context //nolint:containedctx // of all requests
	stopped atomic.Bool
	running sync.WaitGroup

	// breaks is set if the servers break the design, so that something must not have happened. A wait then ends with a
	// panic of that error.
	breaks bool

	mu     sync.Mutex // guards the rest
	losses []string   // sessions that were lost
	err    error
}

// newStage starts a cluster and its clients.
func newStage(t *testing.T, o clustertest.Options) *stage {
	t.Helper()
	s := &stage{T: t, Cluster: clustertest.Start(t, o), clock: clock.Go(), witness: newWitness(), history: newHistory()}
	s.gaps = make(map[string][]gap)
	s.service = &service{history: s.history}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // the clients end before it does
	s.ctx = ctx
	t.Cleanup(func() { // the checks have stopped everything, unless the test has failed
		cancel()
		s.stopped.Store(true)
		s.running.Wait()
	})
	s.running.Go(func() { s.stall.watch(s.history, s.ending) })
	s.populate()
	s.calm()

	return s
}

// populate creates the node, and all clients.
func (s *stage) populate() {
	s.Helper()
	admin := pinned(s.T, s.Servers[0])
	require.NoError(s, admin.CreateNode(s.Context(), nodePath, coordination.NodeConfig{}))
	session, err := admin.Session(s.Context(), nodePath)
	require.NoError(s, err)
	fronts := append([]*clustertest.Server{nil, nil}, s.Servers...)
	var names []string
	create := func(kind string, i int) string {
		name := fmt.Sprint(kind, i)
		require.NoError(s, session.CreateSemaphore(s.Context(), name, 1))
		names = append(names, name)

		return name
	}
	contended := create("contended", 0)
	for i, front := range fronts {
		written := create("written", i)
		held := fmt.Sprint("held", i)
		require.NoError(s, session.CreateSemaphore(s.Context(), held, 1))
		s.join(contender, front, func(c *client) { c.contending(contended) })
		s.join(writer, front, func(c *client) { c.writing(written) })
		s.join(holder, front, func(c *client) { c.holding(held) })
	}
	for _, front := range s.Servers {
		s.join(reader, front, func(c *client) { c.reading(names) })
	}
	require.NoError(s, session.Close(s.Context()))
	s.locks = startLocks(s)
}

func (s *stage) ending() bool { return s.stopped.Load() }

// calm waits until every client has been answered twice.
func (s *stage) calm() {
	s.Helper()
	const twice = 2
	before := make(map[*client]int64)
	for _, c := range s.clients {
		before[c] = c.acks.Load()
	}
	turns := s.locks.turns.Load()
	for _, c := range s.clients {
		s.until(c.name+" is answered", func() bool { return c.acks.Load() >= before[c]+twice })
	}
	s.until("COMMANDs take turns", func() bool { return s.locks.turns.Load() >= turns+twice })
}

// progress waits until each client that the function accepts has been answered some times.
func (s *stage) progress(of func(*client) bool) {
	s.Helper()
	const some = 5
	before := make(map[*client]int64)
	for _, c := range s.clients {
		before[c] = c.acks.Load()
	}
	for _, c := range s.clients {
		if of(c) {
			s.until(c.name+" is answered", func() bool { return c.acks.Load() >= before[c]+some })
		}
	}
}

// soon limits every wait, on a machine that also runs other tests.
const soon = time.Minute

func (s *stage) until(what string, so func() bool) {
	s.Helper()
	limit := time.After(soon)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		if err := s.check(); s.breaks && err != nil {
			panic(err)
		}
		select {
		case <-tick.C:
		case <-limit:
			require.FailNow(s, "timed out", "waiting until %s; lost: %v; wrong: %v", what, s.lostSessions(), s.check())
		}
	}
}

// lasts lets a fault last for some time.
func (s *stage) lasts(d time.Duration) { clock.Pause(s.ctx, s.clock, d) }

func (s *stage) lost(c *client, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.losses = append(s.losses, fmt.Sprintf("%s: %v", c.name, cause))
}

func (s *stage) lostSessions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.losses
}

// wrong notes something that must not happen.
func (s *stage) wrong(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errors.Join(s.err, err)
}

// check returns what must not have happened.
func (s *stage) check() error {
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()

	return errors.Join(err, s.witness.check(), s.locks.check())
}

// finish stops the clients, and returns what must not have happened.
func (s *stage) finish() error {
	s.Helper()
	s.stopped.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.running.Wait()
	}()
	select {
	case <-done:
	case <-time.After(soon):
		require.FailNow(s, "timed out", "waiting for the clients to end")
	}

	return errors.Join(s.check(), s.history.check())
}
