package workers_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/workers"
)

// balanced starts a worker that shares the tasks with the others. Its tasks run until their contexts end.
func (h *hall) balanced(t *testing.T, capacity int, opts ...workers.Option) *worker {
	t.Helper()

	return h.enterWith(t.Context(), capacity, untilEnd, append(opts, workers.WithBalance())...)
}

func untilEnd(ctx context.Context, _ string) error {
	<-ctx.Done()

	return nil
}

// sizes returns how many tasks each worker runs, in ascending order.
func sizes(ws ...*worker) (all []int) {
	for _, w := range ws {
		all = append(all, len(w.has()))
	}
	slices.Sort(all)

	return all
}

// starts returns how often tasks were started.
func (h *hall) starts() (sum int) {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.runs {
		sum += n
	}

	return sum
}

// Five workers that start within a second share ten tasks equally, and no task is started more than twice.
func TestRun_StartTogether(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(10)
		var ws []*worker
		for range 5 {
			ws = append(ws, h.balanced(t, 4))
			time.Sleep(200 * time.Millisecond)
		}
		time.Sleep(5 * timeout)
		require.Equal(t, []int{2, 2, 2, 2, 2}, sizes(ws...))
		for _, task := range h.tasks {
			require.LessOrEqual(t, h.ran(task), 2)
		}
		h.requireOnce(t)
		for _, w := range ws {
			require.Equal(t, errStopped, w.end(t))
		}
	})
}

// A newcomer gets half of four tasks, and then nothing moves any more. When it leaves, only its tasks move.
func TestRun_Newcomer(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(4)
		first := h.balanced(t, 4)
		time.Sleep(time.Minute)
		require.Equal(t, 4, h.starts())
		second := h.balanced(t, 4)
		time.Sleep(timeout - soon)
		require.Equal(t, []int{0, 4}, sizes(first, second), "nothing moves before the pool has settled")
		time.Sleep(settled)
		require.Equal(t, []int{2, 2}, sizes(first, second))
		time.Sleep(10 * time.Minute)
		require.Equal(t, 6, h.starts(), "two moves, and no more")
		kept := first.has()
		require.Contains(t, first.story(), "Moving{")

		require.Equal(t, errStopped, second.end(t))
		require.Equal(t, h.tasks, first.has())
		require.Equal(t, 8, h.starts())
		for _, task := range kept {
			require.Equal(t, 1, h.ran(task))
		}
		require.Equal(t, errStopped, first.end(t))
		h.requireOnce(t)
	})
}

// With stable names, a rolling restart starts each task once more.
func TestRun_RollingRestart(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(10)
		names := []string{"w1", "w2", "w3", "w4", "w5"}
		ws := map[string]*worker{}
		for _, name := range names {
			ws[name] = h.balanced(t, 4, workers.WithName(name, ""), workers.WithSettle(time.Second))
		}
		time.Sleep(time.Minute)
		before := h.starts()
		had := map[string][]string{}
		for name, w := range ws {
			had[name] = w.has()
			require.Len(t, had[name], 2)
		}
		for _, name := range names {
			require.Equal(t, errStopped, ws[name].end(t))
			time.Sleep(2 * time.Second)
			ws[name] = h.balanced(t, 4, workers.WithName(name, ""), workers.WithSettle(time.Second))
			time.Sleep(5 * time.Second)
		}
		time.Sleep(time.Minute)
		require.Equal(t, 10, h.starts()-before)
		for name, w := range ws {
			require.Equal(t, had[name], w.has(), "each worker has the tasks that it had")
			require.Equal(t, errStopped, w.end(t))
		}
		h.requireOnce(t)
	})
}

// The tasks of a named worker that does not come back go to the others after a timeout.
func TestRun_NamedWorkerThatStaysAway(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(4)
		first := h.balanced(t, 4, workers.WithName("w1", ""))
		second := h.balanced(t, 4, workers.WithName("w2", ""))
		time.Sleep(3 * timeout)
		require.Equal(t, []int{2, 2}, sizes(first, second))
		require.Equal(t, errStopped, first.end(t))
		time.Sleep(timeout - 2*soon)
		require.Len(t, second.has(), 2)
		time.Sleep(settled)
		require.Len(t, second.has(), 4)
		require.Equal(t, errStopped, second.end(t))
	})
}

// Only one worker at a time has a name.
func TestRun_NameInUse(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(2)
		first := h.balanced(t, 2, workers.WithName("w1", ""))
		time.Sleep(settled)
		second := h.balanced(t, 2, workers.WithName("w1", ""))
		err := <-second.done
		require.ErrorIs(t, err, workers.ErrNameInUse)
		require.ErrorContains(t, err, `the name of the worker is in use: "w1", by `)
		require.Len(t, first.has(), 2, "the first worker is not disturbed")
		require.Equal(t, 2, h.starts())
		require.Equal(t, errStopped, first.end(t))
	})
}

// All workers report tasks that run nowhere, and that they run again.
func TestRun_Unassigned(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(10)
		first, second := h.balanced(t, 4), h.balanced(t, 4)
		time.Sleep(2 * time.Second)
		require.Equal(t, []int{4, 4}, sizes(first, second))
		for _, w := range []*worker{first, second} {
			require.Regexp(t, `Unassigned\{\[job-\d job-\d\] 10\}`, w.story())
		}
		third := h.balanced(t, 4)
		time.Sleep(2 * time.Second)
		for _, w := range []*worker{first, second} {
			require.Contains(t, w.story(), "Unassigned{[] 10}")
		}
		for _, w := range []*worker{first, second, third} {
			require.Equal(t, errStopped, w.end(t))
		}
	})
}

// A worker with a pattern takes only tasks that match it, and the others know that.
func TestRun_Only(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(4)
		first := h.balanced(t, 4, workers.WithOnly("job-[01]"))
		second := h.balanced(t, 4)
		time.Sleep(3 * timeout)
		require.Equal(t, []string{"job-0", "job-1"}, first.has())
		require.Equal(t, []string{"job-2", "job-3"}, second.has())
		require.Equal(t, errStopped, first.end(t))
		require.Equal(t, errStopped, second.end(t))
	})
}

// A worker that is cut off loses its tasks, and takes its share again when it is back.
func TestRun_BalancedAfterLoss(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(6)
		first, second := h.balanced(t, 6), h.balanced(t, 6)
		time.Sleep(5 * timeout)
		require.Equal(t, []int{3, 3}, sizes(first, second))
		require.True(t, h.Break(first.session(), errors.New("unplugged")))
		time.Sleep(timeout - soon)
		require.Equal(t, []int{0, 3}, sizes(first, second))
		time.Sleep(settled)
		require.Equal(t, []int{3, 3}, sizes(first, second))
		require.Equal(t, errStopped, first.end(t))
		require.Equal(t, errStopped, second.end(t))
		h.requireOnce(t)
	})
}
