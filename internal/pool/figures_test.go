package pool_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/pool"
)

// steady is a setup in which functions run until they are told to stop, and then return immediately.
func steady(n int) setup {
	return setup{
		specs: tasks(n), latency: 2 * time.Millisecond, work: func(string) behaviour { return behaviour{} },
	}
}

// usual returns the default settings of package workers.
func usual(capacity int) pool.Config {
	return pool.Config{
		Capacity: capacity, Timeout: 10 * time.Second, Settle: 10 * time.Second, Moves: 1, Backoff: time.Second,
		MaxBackoff: time.Minute, GiveUp: 3,
	}
}

// settledDown is longer than the pools of these tests need to balance their tasks.
const settledDown = time.Minute

// launch starts n workers within a time.
func (w *world) launch(n int, within time.Duration, c pool.Config) {
	for i := range n {
		w.after(within*time.Duration(i)/time.Duration(n), func() { w.start(c) })
	}
}

// 10 tasks and 5 workers that start within 1 s: two each at the end, and no task starts more than twice.
func TestFigures_Start(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		w := newWorld(seed, steady(10))
		require.NoError(t, w.guard(func() {
			w.launch(5, time.Second, usual(4))
			w.run(settledDown)
		}))
		require.Equal(t, []int{2, 2, 2, 2, 2}, w.spread())
		for task, n := range w.starts {
			require.LessOrEqual(t, n, 2, task)
		}
		require.Zero(t, w.count.GivenBack)
	}
}

// 4 workers that join at the same time: the largest and the smallest differ by at most one task after one round.
func TestFigures_Join(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		n := 8 + int(seed)
		w := newWorld(seed, steady(n))
		require.NoError(t, w.guard(func() {
			w.launch(2, 0, usual(n))
			w.run(settledDown)
			w.launch(4, 0, usual(n))
			w.run(settledDown)
		}))
		all := w.spread()
		require.LessOrEqual(t, all[5]-all[0], 1, "%v", all)
		for task, n := range w.starts {
			require.LessOrEqual(t, n, 2, task)
		}
	}
}

// A worker that leaves moves only its own tasks.
func TestFigures_Leave(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		w := newWorld(seed, steady(12))
		require.NoError(t, w.guard(func() {
			w.launch(4, 0, usual(5))
			w.run(settledDown)
			w.begun = nil
			w.workers[seed%4].drain()
			w.run(10 * time.Minute)
		}))
		require.Equal(t, []int{4, 4, 4}, w.spread())
		require.Len(t, w.begun, 3)
	}
}

// 4 tasks on one worker and one newcomer: exactly 2 moves, then none in ten minutes.
func TestFigures_Newcomer(t *testing.T) {
	t.Parallel()
	w := newWorld(1, steady(4))
	require.NoError(t, w.guard(func() {
		w.start(usual(4))
		w.run(settledDown)
		w.start(usual(4))
		w.run(settledDown)
		require.Equal(t, 2, w.count.Moves)
		w.run(10 * time.Minute)
	}))
	require.Equal(t, 2, w.count.Moves)
	require.Equal(t, []int{2, 2}, w.spread())
	require.Len(t, w.begun, 6)
}

// A rolling restart of 5 named workers: each task starts once more, when its own worker is back. It is the same after
// kill -9 and an immediate restart, which ends the old session.
func TestFigures_RollingRestart(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		w := newWorld(seed, steady(10+int(seed%3)))
		require.NoError(t, w.guard(func() {
			for i := range 5 {
				c := usual(4)
				c.Worker, c.Named = fmt.Sprintf("w%d", i), true
				w.start(c)
			}
			w.run(settledDown)
			w.begun = nil
			for _, k := range append([]*worker(nil), w.workers...) {
				held := k.names()
				if seed%2 == 0 {
					k.drain()
					w.run(time.Second)
				} else {
					k.crash(true)
				}
				started := len(w.begun)
				again := w.start(k.config)
				w.run(time.Second)
				require.Equal(t, held, again.names(), "within a second")
				require.Len(t, w.begun, started+len(held))
				w.run(30 * time.Second)
			}
			w.run(settledDown)
		}))
		require.Len(t, w.begun, len(w.specs))
	}
}

// Two named workers that restart together get the same tasks again.
func TestFigures_RestartTogether(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		w := newWorld(seed, steady(12))
		require.NoError(t, w.guard(func() {
			for i := range 4 {
				c := usual(4)
				c.Worker, c.Named = fmt.Sprintf("w%d", i), true
				w.start(c)
				w.run(settledDown) // so that tasks are where they have moved to
			}
			moves := w.count.Moves
			var held [][]string
			pair := slices.Clone(w.workers[:2])
			for _, k := range pair {
				held = append(held, k.names())
				k.drain()
			}
			w.run(time.Second)
			for i, k := range pair {
				pair[i] = w.start(k.config)
			}
			w.run(time.Second)
			for i, k := range pair {
				require.Equal(t, held[i], k.names())
			}
			w.run(settledDown)
			require.Equal(t, moves, w.count.Moves)
		}))
	}
}

// If there is too little room, a task that is free does not make others move for ever.
func TestFigures_TooLittleRoom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		s := steady(8)
		s.weights = map[string]int{}
		w := newWorld(seed, s)
		for i := range s.specs {
			s.specs[i].Weight = 1 + w.rand.IntN(3)
			s.weights[s.specs[i].Name] = s.specs[i].Weight
		}
		all := w.specs
		w.specs = slices.DeleteFunc(slices.Clone(all), func(pool.Spec) bool { return w.chance(0.4) })
		require.NoError(t, w.guard(func() {
			for i := range 3 {
				w.launch(1, 0, usual(3+w.rand.IntN(2)))
				w.run(time.Duration(i) * 15 * time.Second)
			}
			for _, k := range w.workers {
				k.list(all)
			}
			w.run(2 * time.Minute)
			moves := w.count.Moves
			w.run(5 * time.Minute)
			require.Equal(t, moves, w.count.Moves, "seed %d", seed)
		}))
	}
}

// 6 workers and a task that fails immediately: at most 3 starts in the first 2 s and 12 in the first minute, in the
// whole pool and across restarts of processes.
func TestFigures_Poison(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		s := steady(6)
		s.work = func(task string) behaviour {
			if task == s.specs[0].Name {
				return behaviour{returns: time.Millisecond, err: errTask}
			}

			return behaviour{}
		}
		w := newWorld(seed, s)
		require.NoError(t, w.guard(func() {
			w.launch(6, 0, usual(4))
			w.run(2 * time.Second)
			require.LessOrEqual(t, w.starts[s.specs[0].Name], 3)
			for range 58 {
				if k := pick(w, w.workers...); w.chance(0.3) {
					k.crash(w.chance(0.5))
					w.start(usual(4))
				}
				w.run(time.Second)
			}
		}))
		require.LessOrEqual(t, w.starts[s.specs[0].Name], 12)
		require.GreaterOrEqual(t, w.starts[s.specs[0].Name], 3)
	}
}

// Every worker reports tasks that run nowhere within 2 s. When the tasks run again, it reports that too.
func TestFigures_Unassigned(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		w := newWorld(seed, steady(10))
		require.NoError(t, w.guard(func() {
			w.launch(2, 0, usual(4))
			w.run(2 * time.Second)
			for _, k := range w.workers {
				require.Len(t, k.unassigned, 2, k.name)
			}
			w.start(usual(4))
			w.run(2 * time.Second)
			for _, k := range w.workers {
				require.Empty(t, k.unassigned, k.name)
			}
		}))
	}
}

// The tasks of a worker that crashes run again as soon as its session has ended. The tasks of a worker that leaves run
// again immediately.
func TestFigures_TakeOver(t *testing.T) {
	t.Parallel()
	const soon = 100 * time.Millisecond
	for seed := range uint64(20) {
		for _, greedy := range []bool{false, true} {
			w := newWorld(seed, steady(12))
			require.NoError(t, w.guard(func() {
				c := usual(6)
				c.Greedy = greedy
				w.launch(4, time.Second, c)
				w.run(settledDown)
				w.workers[seed%4].crash(false)
				w.run(c.Timeout + soon)
				require.Equal(t, 12, w.active, "after a crash")
				w.workers[seed%3].drain()
				w.run(soon)
				require.Equal(t, 12, w.active, "after a worker has left")
			}))
		}
	}
}
