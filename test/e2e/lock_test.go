package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slack is how late a line may arrive on a busy machine. An immediate reaction is usually a thousand times faster. One
// that was missed comes at the session timeout, which is a minute where a test does not say otherwise.
const slack = 30 * time.Second

// skipSlow skips a test with -short because it waits for session timeouts of this duration in total.
func skipSlow(t *testing.T, waits time.Duration) {
	t.Helper()
	if testing.Short() {
		t.Skipf("waits %v for session timeouts", waits)
	}
}

// inTime requires that something takes less time than the limit, which the product promises on a machine that runs. The
// test machine may pause for a second, so there are three attempts.
func inTime(t *testing.T, limit time.Duration, attempt func() time.Duration) {
	t.Helper()
	var took time.Duration
	for range 3 {
		if took = attempt(); took < limit {
			return
		}
		t.Logf("took %v", took)
	}
	require.Less(t, took, limit)
}

// A crew is a group of processes of one command with the same arguments, by name.
type crew struct {
	server  *server
	command string
	args    []string
	members map[string]*process
}

// newCrew starts n processes of the command. It returns when each has printed that it waits or that it starts tasks.
func newCrew(srv *server, n int, command string, args ...string) *crew {
	srv.stage.t.Helper()
	c := &crew{srv, command, append([]string{"-ydb", srv.dsn(), "-path", node}, args...), map[string]*process{}}
	members := make([]*process, n)
	for i := range members {
		members[i] = c.start()
	}
	for _, p := range members {
		p.settles()
	}

	return c
}

// join starts one more process.
func (c *crew) join() {
	c.server.stage.t.Helper()
	c.start().settles()
}

func (c *crew) start() *process {
	s := c.server.stage
	s.t.Helper()
	name := fmt.Sprint(c.command, "-", len(c.members)+1)
	c.members[name] = s.start(name, c.command, c.args...)

	return c.members[name]
}

// settles returns when a member of a crew has printed that it waits or that it starts tasks.
func (p *process) settles() {
	p.stage.t.Helper()
	p.await(0, soon, waiting, "starting tasks")
}

// lockCrew starts n processes that acquire the same lock.
func lockCrew(srv *server, n int, timeout time.Duration) *crew {
	srv.stage.t.Helper()

	return newCrew(srv, n, "lock", "-semaphore", "lock", "-timeout", timeout.String(), "--data", "the crew")
}

// When the holder stops, the next waiter starts immediately, many times in a row. The test does not run in parallel
// with others, because they would slow it down.
func TestLock_NextStartsWhenTheHolderStops(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 5
	}
	s := newStage(t)
	srv := newServer(s)
	c := lockCrew(srv, rounds+1, time.Minute)

	var gaps []time.Duration
	on, place := s.await(0, soon, starting)
	for range rounds {
		holder := c.members[on.who]
		holder.stop()
		off, then := holder.await(place, soon, suspended)
		holder.await(then, soon, released)
		on, place = s.await(then, soon, starting)
		gaps = append(gaps, on.at.Sub(off.at))
	}

	// A gap is the time from the last line before the release to the first line of the next holder's work. It contains the
	// release. A waiter that is not told of the release asks for the lock again after several seconds.
	slices.Sort(gaps)
	median, longest := gaps[rounds/2], gaps[rounds-1]
	t.Logf("from the end of one holder's work to the next holder's start: median %v, longest %v, of %d",
		median, longest, rounds)
	require.Less(t, median, time.Second)
	require.Less(t, longest, slack) // the machine may pause once
}

// Waiters that stop at the same time as the holder do not delay the last waiter. In particular, a grant to a session
// that is closing does not stay until that session's timeout.
func TestLock_AllButOneStopAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newServer(s)
	c := lockCrew(srv, 4, time.Minute)
	c.join()

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

func TestLock_NextStartsAfterTheTimeoutOfAKilledHolder(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	skipSlow(t, 2*timeout)
	s := newStage(t)
	srv := newServer(s)
	c := lockCrew(srv, 5, timeout)

	on, place := s.await(0, soon, working)
	for range 2 {
		killed := c.members[on.who].kill()
		on, place = s.await(place, soon, starting)
		waited := on.at.Sub(killed)
		t.Logf("started %v after the holder was killed", waited)
		require.GreaterOrEqual(t, waited, timeout) // the server counts from the moment it notices
		require.Less(t, waited, timeout+slack)
	}
}

func TestLock_HolderContinuesWhenTheServerRestarts(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second
	skipSlow(t, 2*(timeout+grace))
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
		// By this time a session that did not come back has expired, and its holder has stopped working.
		s.until("the holder continues", soon, printed(place, time.Now().Add(timeout+grace), holder.name, working))
		require.Equal(t, before, srv.owner("lock"))
		require.False(t, s.hasPrinted(place, holder.name, suspended))
	}

	// The waiters have come back too.
	place := s.mark()
	holder.stop()
	off, place := holder.await(place, soon, suspended)
	on, _ = s.await(place, soon, starting)
	require.Less(t, on.at.Sub(off.at), timeout)
}

// A holder that cannot reach the server stops working before its session timeout has passed. When the server is back, a
// process acquires the lock in a new session.
func TestLock_HolderStopsWorkWhenTheServerStaysDown(t *testing.T) {
	t.Parallel()
	const timeout = 4 * time.Second
	skipSlow(t, timeout)
	inTime(t, timeout, func() time.Duration {
		s := newStage(t)
		srv := newServer(s)
		c := lockCrew(srv, 2, timeout)

		on, place := s.await(0, soon, working)
		killed := srv.kill()
		off, place := c.members[on.who].await(place, soon, suspended)
		t.Logf("stopped %v after the server was killed", off.at.Sub(killed))

		srv.begin()
		s.await(place, soon, working)

		return off.at.Sub(killed)
	})
}

// Processes end on SIGTERM even if the server is down.
func TestStopWhileTheServerIsDown(t *testing.T) {
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
			require.Less(t, time.Since(began), slack, p.name)
		}
	}
	require.Empty(t, s.share(0))
}
