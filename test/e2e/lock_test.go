package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slack is what may pass, on a busy machine, between an instant at which something is due and its being heard. What is
// due at once is mostly a hundred times as fast; what has been missed comes at the session's timeout, which is longer.
const slack = 2 * time.Second

// A crew is the processes of lock, or of workers, on a stage, by their names.
type crew struct {
	server  *server
	command string
	args    []string
	members map[string]*process
}

// newCrew starts n processes of the command. Each has said that it waits, or that it is at work, when it returns.
func newCrew(srv *server, n int, command string, args ...string) *crew {
	srv.stage.t.Helper()
	c := &crew{srv, command, append([]string{"-ydb", srv.dsn(), "-path", node}, args...), map[string]*process{}}
	for range n {
		c.join()
	}

	return c
}

// join starts one more.
func (c *crew) join() {
	s := c.server.stage
	s.t.Helper()
	name := fmt.Sprint(c.command, "-", len(c.members)+1)
	c.members[name] = s.start(name, c.command, c.args...)
	c.members[name].await(0, soon, waiting, "starting tasks")
}

// lockCrew starts n processes that want the same lock.
func lockCrew(srv *server, n int, timeout time.Duration) *crew {
	srv.stage.t.Helper()

	return newCrew(srv, n, "lock", "-semaphore", "lock", "-timeout", timeout.String())
}

// The next starts at once when the holder stops, again and again. This test is not parallel to others, lest it measures
// them.
func TestLock_NextStartsWhenTheHolderStops(t *testing.T) {
	const rounds = 20
	s := newStage(t)
	srv := newServer(s)
	c := lockCrew(srv, 5, time.Minute)

	var gaps []time.Duration
	on, place := s.await(0, soon, starting)
	for range rounds {
		holder := c.members[on.who]
		holder.stop()
		off, then := holder.await(place, soon, suspended)
		holder.await(then, soon, released)
		on, place = s.await(then, soon, starting)
		gaps = append(gaps, on.at.Sub(off.at))
		c.join()
	}

	// From the last word before the release to the first of the next one's work: the release, and then some.
	slices.Sort(gaps)
	median, longest := gaps[rounds/2], gaps[rounds-1]
	t.Logf("from one's work to the next one's: median %v, longest %v, of %d", median, longest, rounds)
	require.LessOrEqual(t, median, 100*time.Millisecond)
	require.Less(t, longest, slack) // one may meet a pause of the machine
}

// Those who stop at the same time as the holder are not in the way of the one who is left, whatever crosses: a grant to
// a session that is being closed must not cost its timeout.
func TestLock_AllButOneStopAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newServer(s)
	c := lockCrew(srv, 5, time.Minute)

	_, place := s.await(0, soon, working)
	last := c.members["lock-5"]
	for name, p := range c.members {
		if name != "lock-5" {
			p.terminate()
		}
	}
	for name, p := range c.members {
		if name != "lock-5" {
			p.ends()
		}
	}
	all := time.Now()
	on, _ := last.await(place, soon, starting)
	require.Less(t, on.at.Sub(all), slack)
	last.stop()
	require.Zero(t, srv.owner("lock"))
}

func TestLock_NextStartsAfterTheTimeoutOfOneThatIsKilled(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	s := newStage(t)
	srv := newServer(s)
	c := lockCrew(srv, 5, timeout)

	on, place := s.await(0, soon, working)
	for range 2 {
		killed := c.members[on.who].kill()
		on, place = s.await(place, soon, starting)
		waited := on.at.Sub(killed)
		t.Logf("started %v after the holder was killed", waited)
		require.GreaterOrEqual(t, waited, timeout) // the server counts from when it notices
		require.Less(t, waited, timeout+slack)
	}
}

func TestLock_HolderGoesOnWhenTheServerIsStartedAgain(t *testing.T) {
	t.Parallel()
	const timeout = 5 * time.Second
	s := newStage(t)
	srv := newServer(s)
	c := lockCrew(srv, 3, timeout)

	on, _ := s.await(0, soon, working)
	holder := c.members[on.who]
	before := srv.owner("lock")
	require.NotZero(t, before)
	for _, end := range []func(){func() { srv.kill() }, func() { srv.stop() }} {
		place := s.mark()
		end()
		srv.begin()
		// By then the session of one that has not come back has ended, and so has the holder's own belief.
		s.until("the holder goes on", soon, said(place, time.Now().Add(timeout+grace), holder.name, working))
		require.Equal(t, before, srv.owner("lock"))
		require.False(t, s.heard(place, holder.name, suspended))
	}

	// Those who wait have come back too.
	place := s.mark()
	holder.stop()
	off, place := holder.await(place, soon, suspended)
	on, _ = s.await(place, soon, starting)
	require.Less(t, on.at.Sub(off.at), slack)
}

// A holder that cannot reach the server stops its work before its session's timeout has passed. When the server is
// back, the lock is taken in a new session.
func TestLock_HolderStopsWorkWhenTheServerStaysAway(t *testing.T) {
	t.Parallel()
	const timeout = 4 * time.Second
	s := newStage(t)
	srv := newServer(s)
	c := lockCrew(srv, 2, timeout)

	on, place := s.await(0, soon, working)
	killed := srv.kill()
	off, place := c.members[on.who].await(place, soon, suspended)
	t.Logf("stopped %v after the server was killed", off.at.Sub(killed))
	require.Less(t, off.at.Sub(killed), timeout)

	srv.begin()
	s.await(place, soon, working)
}

// Processes that are asked to end do so even if the server is away.
func TestStopWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newServer(s)
	locks, pool := lockCrew(srv, 2, time.Minute), workersCrew(srv, 2, time.Minute)

	s.await(0, soon, working)
	s.share(1 + 2*capacity)
	srv.kill()
	began := time.Now()
	for _, c := range []*crew{locks, pool} {
		for _, p := range c.members {
			p.terminate()
		}
	}
	for _, c := range []*crew{locks, pool} {
		for _, p := range c.members {
			p.ends()
			require.Less(t, time.Since(began), 10*time.Second, p.name)
		}
	}
	require.Empty(t, s.share(0))
}
