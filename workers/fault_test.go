package workers_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/tenuretest"
	"tenure/workers"
)

// A function that ignores its context keeps its task and its share of the capacity. The worker takes the other tasks
// with a new session immediately, and reports what is stuck.
func TestRun_StuckFunction(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(3)
		free := make(chan struct{})
		w := h.enterWith(t.Context(), 3, func(ctx context.Context, task string) error {
			<-ctx.Done()
			if task == "job-0" && w1(h) {
				<-free
			}

			return nil
		})
		time.Sleep(settled)
		require.Len(t, w.has(), 3)
		require.True(t, h.Break(w.session(), errors.New("unplugged")))
		time.Sleep(timeout + 3*settled)
		require.Equal(t, h.tasks, w.has(), "the old function still runs, and the other tasks run again")
		require.Equal(t, 1, h.ran("job-0"))
		require.Equal(t, 2, h.ran("job-1"))
		require.Contains(t, w.story(), "Stuck{job-0 1s}")
		require.Contains(t, w.story(), "Stuck{job-0 11s}")
		require.NotContains(t, w.story(), "Stuck{job-1")
		require.Contains(t, w.story(), "Unassigned{[job-0] 3}")

		close(free)
		time.Sleep(settled)
		require.Equal(t, 2, h.ran("job-0"))
		require.Equal(t, errStopped, w.end(t))
		h.requireOnce(t)
	})
}

// w1 reports whether the first run of job-0 is the only one so far.
func w1(h *hall) bool {
	h.mu.Lock()
	defer h.mu.Unlock()

	return h.runs["job-0"] == 1
}

// The time to drain limits Run. The task of a function that still runs is released when the function returns.
func TestRun_DrainLimit(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(2)
		free := make(chan struct{})
		w := h.enterWith(t.Context(), 2, func(ctx context.Context, task string) error {
			<-ctx.Done()
			if task == "job-1" {
				<-free
			}

			return nil
		}, workers.WithDrain(30*time.Second))
		time.Sleep(settled)
		w.stop(errStopped)
		time.Sleep(30*time.Second - time.Millisecond)
		require.Empty(t, w.done)
		time.Sleep(soon)
		err := <-w.done
		stuck, ok := errors.AsType[*workers.StuckError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, []string{"job-1"}, stuck.Tasks)
		require.EqualError(t, err, inPool+`task "job-1" did not stop within 30s`)
		time.Sleep(time.Hour)
		require.Zero(t, h.Owner(path, "job-0"))
		require.NotZero(t, h.Owner(path, "job-1"), "nobody else may run it")
		close(free)
		time.Sleep(soon)
		synctest.Wait()
		require.Zero(t, h.Owner(path, "job-1"))
	})
}

// A panic and a Goexit are failures of their task, and of no other.
func TestRun_PanicAndGoexit(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(3)
		var failures []workers.Ended
		w := h.enterWith(t.Context(), 3, func(ctx context.Context, task string) error {
			switch task {
			case "job-0":
				panic("poison")
			case "job-1":
				runtime.Goexit()
			}
			<-ctx.Done()

			return nil
		}, workers.WithGiveUp(0), workers.WithObserver(nil))
		time.Sleep(90 * time.Second)
		require.Equal(t, 1, h.ran("job-2"))
		require.InDelta(t, 7, h.ran("job-0"), 1, "starts after 0, 1, 3, 7, 15, 31 and 63 s")
		require.InDelta(t, 7, h.ran("job-1"), 1)
		w.mu.Lock()
		for _, e := range w.events {
			if e, ok := e.(workers.Ended); ok {
				failures = append(failures, e)
			}
		}
		w.mu.Unlock()
		require.Equal(t, errStopped, w.end(t))
		for _, e := range failures {
			if e.Task == "job-1" {
				require.Equal(t, workers.ErrGoexit, e.Err)

				continue
			}
			panicked, ok := errors.AsType[*workers.PanicError](e.Err)
			require.True(t, ok)
			require.Equal(t, "poison", panicked.Value)
			require.EqualError(t, panicked, "panic: poison")
			require.Contains(t, string(panicked.Stack), "TestRun_PanicAndGoexit")
		}
	})
}

// The pause after a failure belongs to the pool: a task that fails immediately starts at most 3 times in 2 s and 12
// times in a minute, although workers come and go.
func TestRun_PoisonTaskInThePool(t *testing.T) {
	t.Parallel()
	for _, greedy := range []bool{false, true} {
		bubbletest.Test(t, func(t *testing.T) {
			h := newHall(1)
			poison := func(context.Context, string) error { return errors.New("poison") }
			mode := workers.WithBalance()
			if greedy {
				mode = workers.WithGreedy()
			}
			var ws []*worker
			for range 6 {
				ws = append(ws, h.enterWith(t.Context(), 4, poison, mode))
			}
			time.Sleep(2 * time.Second)
			require.LessOrEqual(t, h.ran("job-0"), 3)
			for i := range 58 { // every second, another worker restarts
				i %= len(ws)
				ws[i].stop(errStopped)
				time.Sleep(time.Second)
				require.Equal(t, errStopped, <-ws[i].done)
				ws[i] = h.enterWith(t.Context(), 4, poison, mode)
			}
			require.LessOrEqual(t, h.ran("job-0"), 12)
			require.GreaterOrEqual(t, h.ran("job-0"), 4)
			for _, w := range ws {
				require.Equal(t, errStopped, w.end(t))
			}
			h.requireOnce(t)
		})
	}
}

// A run of a minute ends the series of failures.
func TestRun_Recovers(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(1)
		fail := make(chan struct{})
		w := h.enterWith(t.Context(), 1, func(ctx context.Context, _ string) error {
			select {
			case <-fail:
				return errors.New("broken")
			case <-ctx.Done():
				return nil
			}
		}, workers.WithGiveUp(0))
		for range 4 {
			fail <- struct{}{}
			time.Sleep(20 * time.Second)
		}
		require.Contains(t, w.story(), "broken 4 ")
		time.Sleep(2 * time.Minute)
		fail <- struct{}{}
		time.Sleep(2 * time.Second)
		require.Equal(t, 2, strings.Count(w.story(), "broken 1 "))
		require.Equal(t, errStopped, w.end(t))
	})
}

// The server is away for longer than the session timeout. The tasks run again immediately after it is back, because the
// worker ends its lost session. The test uses the real protocol, and moves the clock.
func TestRun_ServerAway(t *testing.T) {
	t.Parallel()
	s := tenuretest.NewServer(t)
	client := s.Client(t)
	started := make(chan string, 10)
	ctx, stop := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- workers.Run(ctx, client, "/local/test", workers.Names("a", "b"),
			func(ctx context.Context, task *workers.Task) error {
				started <- task.Name()
				<-ctx.Done()

				return nil
			})
	}()
	<-started
	<-started
	s.Partition(client)
	s.Advance(timeout)
	s.Heal(client)
	<-started
	<-started
	stop(errStopped)
	require.Equal(t, errStopped, <-done)
}

// Run on a closed client returns.
func TestRun_ClosedClient(t *testing.T) {
	t.Parallel()
	s := tenuretest.NewServer(t)
	client := s.Client(t)
	require.NoError(t, client.Close(t.Context()))
	err := workers.Run(t.Context(), client, "/local/test", workers.Names("a"),
		func(context.Context, *workers.Task) error { return nil })
	require.ErrorContains(t, err, "closed")
}

// A worker that waits for a task of its own lost session says so.
func TestRun_WaitsForLostSession(t *testing.T) {
	t.Parallel()
	s := tenuretest.NewServer(t)
	client := s.Client(t)
	started, blocked := make(chan struct{}, 2), make(chan workers.Holder, 10)
	free := make(chan struct{})
	ctx, stop := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- workers.Run(ctx, client, "/local/test", workers.Names("a", "b"),
			func(ctx context.Context, task *workers.Task) error {
				started <- struct{}{}
				<-ctx.Done()
				if task.Name() == "a" && errors.Is(context.Cause(ctx), workers.ErrLost) {
					<-free // the session cannot be ended while this runs, so b waits for it too
				}

				return nil
			}, workers.WithTimeout(time.Minute), workers.WithObserver(func(e workers.Event) {
				if e, ok := e.(workers.Blocked); ok && e.Task == "b" {
					blocked <- e.Holders[0]
				}
			}))
	}()
	<-started
	<-started
	s.Partition(client)
	s.Advance(time.Minute)
	s.Heal(client)
	holder := <-blocked
	require.Positive(t, holder.Lost)
	require.LessOrEqual(t, holder.Lost, 2*time.Minute)
	close(free)
	<-started
	stop(errStopped)
	require.Equal(t, errStopped, <-done)
}

// A function that returns because its lease was in danger has not failed. It runs again without a pause.
func TestRun_InterruptedIsNoFailure(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(1)
		w := h.enterWith(t.Context(), 1, func(context.Context, string) error {
			if h.ran("job-0") < 3 {
				return fmt.Errorf("stopped in time: %w", workers.ErrLost)
			}

			return nil
		}, workers.WithOnce(0))
		require.NoError(t, <-w.done)
		require.NotContains(t, w.story(), "Failed")
		require.Equal(t, 3, h.ran("job-0"))
	})
}
