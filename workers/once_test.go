package workers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/workers"
)

// With WithOnce, each task runs until it has succeeded once, in the whole pool. All workers return then. A later pool
// finds that everything is done.
func TestRun_Once(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(50)
		short := func(ctx context.Context, _ string) error {
			select {
			case <-time.After(300 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		var ws []*worker
		for range 3 {
			ws = append(ws, h.enterWith(t.Context(), 4, short, workers.WithBalance(), workers.WithOnce(0)))
		}
		for _, w := range ws {
			require.NoError(t, <-w.done)
		}
		for _, task := range h.tasks {
			require.Equal(t, 1, h.ran(task))
		}
		again := h.enterWith(t.Context(), 4, short, workers.WithBalance(), workers.WithOnce(0))
		require.NoError(t, <-again.done)
		require.Equal(t, 50, h.starts(), "nothing runs again")
		h.requireOnce(t)

		status, err := workers.Look(t.Context(), h, path, workers.Names(h.tasks...))
		require.NoError(t, err)
		for _, task := range status.Tasks {
			require.Equal(t, workers.Success, task.State)
			require.NotZero(t, task.Token)
		}
		require.Empty(t, status.Unassigned)
	})
}

// A task that fails too often is not run again, and Run names it.
func TestRun_OnceWithFailures(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(4)
		ws := []*worker{}
		for range 2 {
			ws = append(ws, h.enterWith(t.Context(), 2, func(_ context.Context, task string) error {
				if task == "job-2" {
					return errors.New("broken")
				}

				return nil
			}, workers.WithBalance(), workers.WithOnce(2), workers.WithBackoff(time.Second, time.Minute)))
		}
		for _, w := range ws {
			err := <-w.done
			failed, ok := errors.AsType[*workers.FailedError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, []string{"job-2"}, failed.Tasks)
			require.EqualError(t, err, inPool+`1 failed for good: task "job-2"`)
		}
		stories := ws[0].story() + ws[1].story()
		require.Equal(t, 1, strings.Count(stories, "Done{job-2 false true}"), "the other worker knows too: %s", stories)
		require.Equal(t, 3, h.ran("job-2"))
		require.Equal(t, 6, h.starts())
		status, err := workers.Look(t.Context(), h, path, workers.Names(h.tasks...))
		require.NoError(t, err)
		require.Equal(t, workers.Failure, status.Tasks[2].State)
		require.Equal(t, "broken", status.Tasks[2].Reason)
	})
}
