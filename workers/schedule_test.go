package workers_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Workers start and stop, sessions break, tasks return and messages are delayed, in random order. At any time, no task
// runs twice and no worker runs more tasks than its capacity. After everything has settled, no task is free while a
// worker has room, and no full worker waits for a task.
func TestRun_AnySchedule(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			s := newSchedule(rt)
			defer s.close(rt)
			rt.Repeat(map[string]func(*rapid.T){
				"enter": s.enterOne,
				"leave": s.leaveOne,
				"break": s.breakOne,
				"end":   s.endOne,
				"wait": func(rt *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(0, 4000).Draw(rt, "µs")) * time.Microsecond)
				},
				"settle": s.settle,
				"":       s.check,
			})
		})
	})
}

// A schedule is a hall and the workers that are in it now.
type schedule struct {
	*hall

	capacity int
	workers  []*worker
	ends     chan struct{} // each value makes one task return
}

func newSchedule(rt *rapid.T) *schedule {
	s := &schedule{
		hall:     newHall(rapid.IntRange(1, 6).Draw(rt, "tasks")),
		capacity: rapid.IntRange(1, 4).Draw(rt, "capacity"),
		ends:     make(chan struct{}),
	}
	s.Late = rapid.Bool().Draw(rt, "late")
	delays := rapid.SliceOfN(rapid.IntRange(1, 3000), 1, 20).Draw(rt, "delays")
	sent := 0
	s.SetDelay(func() time.Duration {
		sent++

		return time.Duration(delays[sent%len(delays)]) * time.Microsecond
	})

	return s
}

func (s *schedule) enterOne(rt *rapid.T) {
	if len(s.workers) == 4 {
		rt.Skip("there are enough workers")
	}
	work := func(ctx context.Context, _ string) error {
		select {
		case <-ctx.Done():
		case <-s.ends:
		}

		return nil
	}
	s.workers = append(s.workers, s.enterWith(context.WithoutCancel(rt.Context()), s.capacity, work))
}

func (s *schedule) leaveOne(rt *rapid.T) {
	i := s.draw(rt)
	w := s.workers[i]
	s.workers = append(s.workers[:i:i], s.workers[i+1:]...)
	w.stop(errStopped)
	if rapid.Bool().Draw(rt, "wait for it") {
		require.Equal(rt, errStopped, <-w.done)
	}
}

func (s *schedule) breakOne(rt *rapid.T) {
	if id := s.workers[s.draw(rt)].session(); id != 0 {
		s.Break(id, errors.New("unplugged"))
	}
}

func (s *schedule) endOne(rt *rapid.T) {
	select {
	case s.ends <- struct{}{}:
	default:
		rt.Skip("no task runs")
	}
}

func (s *schedule) draw(rt *rapid.T) int {
	if len(s.workers) == 0 {
		rt.Skip("there are no workers")
	}

	return rapid.IntRange(0, len(s.workers)-1).Draw(rt, "worker")
}

// settle waits until dead sessions have timed out and all rests have ended. It then checks which tasks run, and for
// which the workers wait.
func (s *schedule) settle(rt *rapid.T) {
	time.Sleep(2*timeout + 2*time.Minute + 20*time.Second)
	synctest.Wait()
	taken, room := 0, false
	for _, w := range s.workers {
		taken += len(w.has())
		if len(w.has()) < s.capacity {
			room = true
		}
		require.Zero(rt, w.places(), "no worker waits for a task of another")
	}
	require.True(rt, taken == len(s.tasks) || !room, "%d of %d tasks run although a worker has room", taken, len(s.tasks))
	require.Len(rt, s.Sessions(), len(s.workers))
}

func (s *schedule) check(rt *rapid.T) {
	s.requireOnce(rt)
	for _, w := range s.workers {
		w.mu.Lock()
		require.LessOrEqual(rt, len(w.mine), s.capacity)
		w.mu.Unlock()
	}
}

func (s *schedule) close(rt *rapid.T) {
	for _, w := range s.workers {
		w.stop(errStopped)
	}
	time.Sleep(2 * timeout)
	synctest.Wait()
	require.Empty(rt, s.Sessions())
}
