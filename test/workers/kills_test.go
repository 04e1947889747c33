//go:build linux

package workers

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A crew is a number of workers, each of which is started again when it is killed.
type crew struct {
	*stage

	workers []*process
	started int
}

// newCrew starts n workers.
func (s *stage) newCrew(n int, args ...string) *crew {
	s.t.Helper()
	c := &crew{stage: s}
	for range n {
		c.workers = append(c.workers, s.worker(c.name(), args...))
	}

	return c
}

// name returns a name for the next process.
func (c *crew) name() string {
	c.started++

	return fmt.Sprint("w", c.started)
}

// strikeOne kills a worker at random and starts it again.
func (c *crew) strikeOne() {
	c.t.Helper()
	i := rand.IntN(len(c.workers))
	c.workers[i].kill()
	c.workers[i] = c.workers[i].again(c.name())
}

// stop asks all workers to end, and requires that they do.
func (c *crew) stop() {
	c.t.Helper()
	for _, p := range c.workers {
		p.signal(syscall.SIGTERM)
	}
	for _, p := range c.workers {
		require.Equal(c.t, 0, p.code(), p.name)
	}
	require.Empty(c.t, c.judge.running())
}

// bound is the longest acceptable time from the end of a worker to the next run of its tasks. On a quiet machine it is
// a fraction of a second. It is shorter than the session timeout of the tests that use it: nobody waits for that.
const bound = long / 2

// Six workers share tasks. One of them is killed every two seconds and started again. Each task runs in one place at
// a time, and runs again soon.
func TestKills(t *testing.T) {
	t.Parallel()
	both(t, func(s *stage) {
		const workers, pause = 6, 2 * time.Second
		tasks, capacity, span := 20, 4, 10*time.Second
		switch {
		case *killsFlag > 0:
			tasks, capacity, span = 60, 12, *killsFlag
		case testing.Short():
			span = 4 * time.Second
		}
		// The embedded server knows that a worker is dead. On tenure serve, the guards of its tasks end its session, but a
		// worker that is killed before its first task has started has none.
		timeout, limit := long, bound
		if s.kind == served {
			timeout, limit, s.judge.lossy = 10*time.Second, soon, true
		}
		c := s.newCrew(workers, with(Job{},
			"--tasks", fmt.Sprint(tasks), "--capacity", fmt.Sprint(capacity), "--timeout", timeout.String(),
			"--settle", "500ms", "--moves", "2",
		)...)
		s.untilRunning(tasks)
		kills := 0
		for over := time.Now().Add(span); time.Now().Before(over); kills++ {
			c.strikeOne()
			next := time.Now().Add(pause)
			s.until("it is time for the next kill", func() bool { return time.Now().After(next) })
		}
		s.untilRunning(tasks)
		runs := 0
		for _, h := range s.judge.tasks {
			runs += h.runs
		}
		s.t.Logf("%d kills, %d runs of %d tasks", kills, runs, tasks)
		c.stop()
		s.requireBound(limit)
	})
}
