package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	tasks    = 10
	capacity = 4
)

// workersCrew starts n processes of workers that share the tasks.
func workersCrew(srv *server, n int, timeout time.Duration) *crew {
	srv.stage.t.Helper()

	return newCrew(srv, n, "workers", "-semaphore-prefix", "job-", "-tasks", fmt.Sprint(tasks),
		"-capacity", fmt.Sprint(capacity), "-timeout", timeout.String())
}

// share waits until n tasks run and returns which process runs each. It fails if a process exceeds the capacity.
func (s *stage) share(n int) claims {
	s.t.Helper()
	var c claims
	s.until(fmt.Sprint(n, " tasks run"), soon, func(lines []line) bool {
		var err error
		c, err = of(lines)
		require.NoError(s.t, err)
		running := 0
		for who, n := range c.by() {
			require.LessOrEqual(s.t, n, capacity, who)
			running += n
		}

		return running == n
	})

	return c
}

// busiest returns the name of a process that runs as many tasks as its capacity. Of three processes, at least one does.
func (c claims) busiest(t *testing.T) string {
	t.Helper()
	for who, n := range c.by() {
		if n == capacity {
			return who
		}
	}
	require.FailNow(t, "no process is at its capacity", c)

	return ""
}

// begun returns the instants at which tasks started after the place.
func (s *stage) begun(place int) (at []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines[place:] {
		if strings.HasPrefix(l.text, "worker ") && strings.HasSuffix(l.text, ": starting") {
			at = append(at, l.at)
		}
	}

	return at
}

func TestWorkers_OthersTakeTasksWhenOneStops(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newServer(s)
	c := workersCrew(srv, 3, time.Minute)
	shares := s.share(tasks)

	for range 3 {
		place := s.mark()
		stops := c.members[shares.busiest(t)]
		stops.stop()
		stopped := time.Now()
		s.share(2 * capacity)
		moved := s.begun(place)
		require.Len(t, moved, 2*capacity-(tasks-capacity))
		require.Less(t, moved[len(moved)-1].Sub(stopped), slack)

		c.join()
		shares = s.share(tasks)
	}
}

func TestWorkers_TasksOfAKilledProcessMoveAfterItsTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	s := newStage(t)
	srv := newServer(s)
	c := workersCrew(srv, 3, timeout)

	shares := s.share(tasks)
	place := s.mark()
	killed := c.members[shares.busiest(t)].kill()
	s.share(2 * capacity)
	moved := s.begun(place)
	require.Len(t, moved, 2*capacity-(tasks-capacity))
	for _, at := range moved {
		t.Logf("a task started %v after the process was killed", at.Sub(killed))
		require.GreaterOrEqual(t, at.Sub(killed), timeout)
		require.Less(t, at.Sub(killed), timeout+slack)
	}

	c.join()
	s.share(tasks)
}

func TestWorkers_TasksContinueWhenTheServerRestarts(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second
	skipSlow(t, timeout+grace)
	s := newStage(t)
	srv := newServer(s)
	c := workersCrew(srv, 3, timeout)

	shares := s.share(tasks)
	owners := map[string]owner{}
	for task := range shares {
		owners[task] = srv.owner(task)
	}
	place := s.mark()
	srv.kill()
	srv.begin()
	late := time.Now().Add(timeout + grace) // by then a session that did not come back has expired
	for task, who := range shares {
		s.until(task+" continues", soon, printed(place, late, who, "worker "+task+": in progress"))
		require.False(t, s.hasPrinted(place, who, "worker "+task+": done"), task)
		require.Equal(t, owners[task], srv.owner(task), task)
	}

	// The waiters have come back too.
	place = s.mark()
	c.members[shares.busiest(t)].stop()
	stopped := time.Now()
	s.share(2 * capacity)
	moved := s.begun(place)
	require.Less(t, moved[len(moved)-1].Sub(stopped), timeout)
}
