package workers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/bubbletest"
	"tenure/internal/coordtest"
	"tenure/workers"
)

const (
	path    = "/local/test"
	timeout = 10 * time.Second
)

// soon is longer than any exchange of messages takes, and much shorter than a session's timeout. After settled, workers
// that have started at the same time have told each other what they own.
const (
	soon    = 50 * time.Millisecond
	settled = time.Second
)

// inPool is the beginning of the errors of Run and Look.
const inPool = `pool "workers": `

var errStopped = errors.New("stopped by the test")

// run calls workers.Run with work that gets the name of the task.
func run(
	ctx context.Context, client coordination.Client, path string, tasks []string, capacity int,
	work func(context.Context, string) error, opts ...workers.Option,
) error {
	var named func(context.Context, *workers.Task) error
	if work != nil {
		named = func(ctx context.Context, task *workers.Task) error { return work(ctx, task.Name()) }
	}

	return workers.Run(ctx, client, path, workers.Names(tasks...), named,
		append([]workers.Option{workers.WithGreedy(), workers.WithCapacity(capacity)}, opts...)...)
}

// names returns the names of n tasks.
func names(n int) []string {
	var tasks []string
	for i := range n {
		tasks = append(tasks, fmt.Sprintf("job-%d", i))
	}

	return tasks
}

// A hall is a service and the tasks that its workers share. It notices when a task runs twice at the same time.
type hall struct {
	*coordtest.Service

	tasks  []string
	source workers.Source // of a new worker; nil: the tasks
	dwell  time.Duration  // how long the observer of a new worker takes for each event

	mu      sync.Mutex
	running map[string]int // the number of workers that run each task now
	runs    map[string]int // how often work has been called for each task
	twice   []string       // tasks that have run in two workers at the same time
}

func newHall(tasks int) *hall {
	return &hall{
		Service: coordtest.NewService(), tasks: names(tasks), running: map[string]int{}, runs: map[string]int{},
	}
}

// A worker is a call of workers.Run.
type worker struct {
	hall *hall
	stop context.CancelCauseFunc
	done chan error // the result of Run

	mu     sync.Mutex
	mine   map[string]bool // the tasks that run now
	causes []error         // the causes of the ends of the tasks' contexts
	events []workers.Event
}

// enter starts a worker whose tasks run until their contexts end.
func (h *hall) enter(t *testing.T, capacity int, opts ...workers.Option) *worker {
	t.Helper()

	return h.enterWith(t.Context(), capacity, func(ctx context.Context, _ string) error {
		<-ctx.Done()

		return nil
	}, opts...)
}

// enterWith starts a worker with this work.
func (h *hall) enterWith(
	ctx context.Context, capacity int, work func(context.Context, string) error, opts ...workers.Option,
) *worker {
	opts = append([]workers.Option{workers.WithGreedy(), workers.WithCapacity(capacity)}, opts...)
	ctx, stop := context.WithCancelCause(ctx)
	w := &worker{hall: h, stop: stop, done: make(chan error, 1), mine: map[string]bool{}}
	dwell, source := h.dwell, h.source
	if source == nil {
		source = workers.Names(h.tasks...)
	}
	opts = append([]workers.Option{workers.WithObserver(func(e workers.Event) {
		time.Sleep(dwell)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	})}, opts...)
	go func() {
		w.done <- workers.Run(ctx, h, path, source, func(ctx context.Context, task *workers.Task) error {
			w.begin(task.Name())
			defer w.finish(ctx, task.Name())

			return work(ctx, task.Name())
		}, opts...)
	}()

	return w
}

func (w *worker) begin(task string) {
	w.mu.Lock()
	w.mine[task] = true
	w.mu.Unlock()
	w.hall.mu.Lock()
	defer w.hall.mu.Unlock()
	w.hall.runs[task]++
	w.hall.running[task]++
	if w.hall.running[task] > 1 {
		w.hall.twice = append(w.hall.twice, task)
	}
}

func (w *worker) finish(ctx context.Context, task string) {
	w.mu.Lock()
	delete(w.mine, task)
	if ctx.Err() != nil {
		w.causes = append(w.causes, context.Cause(ctx))
	}
	w.mu.Unlock()
	w.hall.mu.Lock()
	defer w.hall.mu.Unlock()
	w.hall.running[task]--
}

// has waits until all goroutines are idle and returns the tasks that the worker runs.
func (w *worker) has() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var tasks []string
	for task := range w.mine {
		tasks = append(tasks, task)
	}
	slices.Sort(tasks)

	return tasks
}

// session returns the id of the worker's newest session.
func (w *worker) session() uint64 {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var id uint64
	for _, e := range w.events {
		if e, ok := e.(workers.Asking); ok {
			id = e.Session
		}
	}

	return id
}

// places returns the number of queues in which the worker waits.
func (w *worker) places() int { return w.hall.Waiting(path, w.session()) }

// end stops the worker and returns the result of Run. It fails the test if Run does not return soon.
func (w *worker) end(t *testing.T) error {
	t.Helper()
	w.stop(errStopped)
	time.Sleep(soon)
	synctest.Wait()
	select {
	case err := <-w.done:
		return err
	default:
		require.FailNow(t, "Run has not returned")

		return nil
	}
}

// story returns the events of the worker so far, one per line.
func (w *worker) story() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []string
	for _, e := range w.events {
		lines = append(lines, strings.TrimPrefix(fmt.Sprintf("%T%v", e, e), "workers."))
	}

	return strings.Join(lines, "\n")
}

// ran returns how often work has been called for the task.
func (h *hall) ran(task string) int {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()

	return h.runs[task]
}

// requireOnce requires that no task has run in two workers at the same time.
func (h *hall) requireOnce(t require.TestingT) {
	h.mu.Lock()
	defer h.mu.Unlock()
	require.Empty(t, h.twice)
}

func TestRun_AllTasksRunOnce(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(10)
		first, second, third := h.enter(t, 4), h.enter(t, 4), h.enter(t, 4)
		time.Sleep(settled)
		ws := []*worker{first, second, third}
		all := slices.Concat(first.has(), second.has(), third.has())
		slices.Sort(all)
		require.Equal(t, h.tasks, all)
		for _, w := range ws {
			require.Zero(t, w.places(), "no worker waits for a task of another")
		}
		before := fmt.Sprint(first.has(), second.has(), third.has())
		time.Sleep(time.Hour)
		require.Equal(t, before, fmt.Sprint(first.has(), second.has(), third.has()), "workers keep their tasks")

		full := ws[slices.IndexFunc(ws, func(w *worker) bool { return len(w.has()) == 4 })]
		require.Equal(t, errStopped, full.end(t))
		time.Sleep(settled)
		for _, w := range ws {
			if w != full {
				require.Len(t, w.has(), 4, "workers with room take free tasks")
			}
		}
		again := h.enter(t, 4)
		time.Sleep(settled)
		require.Len(t, again.has(), 2, "a new worker takes the remaining tasks")

		for _, w := range append(ws, again) {
			if w != full {
				require.Equal(t, errStopped, w.end(t))
			}
		}
		h.requireOnce(t)
		for _, task := range h.tasks {
			require.Zero(t, h.Owner(path, task))
		}
	})
}

// A worker asks for no more tasks than it can run, if no other worker starts at the same time.
func TestRun_AsksForNoSurplus(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(10)
		w := h.enter(t, 4)
		time.Sleep(settled)
		require.Len(t, w.has(), 4)
		require.Zero(t, w.places())
		require.NotContains(t, w.story(), "GivenBack")
		require.Equal(t, errStopped, w.end(t))
	})
}

func TestRun_Events(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(2)
		w := h.enter(t, 3, workers.WithName("w1", ""), workers.WithData([]byte{}))
		time.Sleep(soon)
		require.True(t, h.Break(w.session(), errors.New("unplugged")))
		time.Sleep(timeout + soon)
		require.Equal(t, errStopped, w.end(t))
		require.Equal(t, []string{
			"Asking{1}",
			"Members{[w1]}",
			"Started{job 3}",
			"Started{job 4}",
			"Full{2 2}",
			"Lost{lease lost: unplugged}",
			"Ended{job <nil> true true}",
			"Ended{job <nil> true true}",
			"Asking{2}",
			"Started{job 7}",
			"Started{job 8}",
			"Full{2 2}",
			"Draining{stopped by the test}",
			"Ended{job <nil> false true}",
			"Ended{job <nil> false true}",
		}, strings.Split(strings.NewReplacer("job-0", "job", "job-1", "job",
			"Retry{lease lost: unplugged 0s}\n", "", // before or after the tasks end
		).Replace(w.story()), "\n"))
	})
}

func TestRun_LostSession(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(4)
		unplugged := errors.New("unplugged")
		first := h.enter(t, 3)
		time.Sleep(soon)
		second := h.enter(t, 2)
		time.Sleep(soon)
		require.Len(t, first.has(), 3)
		require.Len(t, second.has(), 1)

		require.True(t, h.Break(first.session(), unplugged))
		require.Empty(t, first.has())
		require.Len(t, first.causes, 3)
		for _, cause := range first.causes {
			require.Regexp(t, `^task "job-\d": lease lost: unplugged$`, cause.Error())
			require.ErrorIs(t, cause, workers.ErrLost)
			require.ErrorIs(t, cause, unplugged)
		}
		time.Sleep(timeout - soon)
		require.Len(t, second.has(), 1, "the session has not timed out yet")
		time.Sleep(2 * soon)
		time.Sleep(settled)
		require.Equal(t, 4, len(first.has())+len(second.has()), "the first worker asks again with a new session")
		require.Equal(t, errStopped, first.end(t))
		require.Equal(t, errStopped, second.end(t))
		h.requireOnce(t)
	})
}

// A task that fails stays with its worker during the pauses. After some failures in a row, another worker gets it.
func TestRun_FailedTaskMovesToOtherWorker(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(3)
		broken := errors.New("broken")
		first := h.enterWith(t.Context(), 2, func(ctx context.Context, task string) error {
			if task == "job-1" {
				return broken
			}
			<-ctx.Done()

			return nil
		})
		time.Sleep(soon)
		for h.Owner(path, "job-1") != first.session() { // which tasks it takes depends on its name
			require.Equal(t, errStopped, first.end(t))
			t.Skip("the worker has taken other tasks")
		}
		second := h.enter(t, 2)
		time.Sleep(2 * time.Second)
		require.Len(t, second.has(), 1, "the first worker runs the task again")
		time.Sleep(3 * time.Second)
		require.Equal(t, 3, h.ran("job-1"), "the other worker respects the pause")
		require.Equal(t, second.session(), h.Owner(path, "job-1"), "the first worker has given it up")
		time.Sleep(4 * time.Second)
		require.Equal(t, 4, h.ran("job-1"))
		require.Contains(t, first.story(), "Failed{job-1 broken 3 ")
		require.Equal(t, errStopped, second.end(t))
		require.Equal(t, errStopped, first.end(t))
		h.requireOnce(t)
	})
}

func TestRun_RestsGrow(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(1)
		w := h.enterWith(t.Context(), 1, func(context.Context, string) error { return nil })
		time.Sleep(500 * time.Millisecond)
		require.Equal(t, 1, h.ran("job-0"))
		time.Sleep(10 * time.Second)
		require.InDelta(t, 4, h.ran("job-0"), 1, "the first rests take about 1, 2 and 4 s")
		time.Sleep(time.Hour)
		require.InDelta(t, 60, h.ran("job-0"), 15, "a rest takes about a minute at most")
		require.Equal(t, errStopped, w.end(t))
	})
}

func TestRun_RestIsShortAfterLongRun(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(1)
		end := make(chan struct{})
		w := h.enterWith(t.Context(), 1, func(ctx context.Context, _ string) error {
			select {
			case <-end:
			case <-ctx.Done():
			}

			return nil
		})
		for range 10 {
			time.Sleep(2 * time.Second)
			end <- struct{}{}
		}
		time.Sleep(3 * time.Minute)
		require.Equal(t, []string{"job-0"}, w.has())
		end <- struct{}{}
		require.Empty(t, w.has())
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"job-0"}, w.has())
		require.Equal(t, errStopped, w.end(t))
	})
}

func TestRun_RestsOutliveTheSession(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(2)
		w := h.enterWith(t.Context(), 2, func(ctx context.Context, task string) error {
			if task == "job-1" {
				return nil
			}
			<-ctx.Done()

			return nil
		})
		time.Sleep(time.Hour)
		before := h.ran("job-1")
		for range 3 {
			require.True(t, h.Break(w.session(), errors.New("unplugged")))
			time.Sleep(timeout + soon)
		}
		require.Equal(t, []string{"job-0"}, w.has())
		require.LessOrEqual(t, h.ran("job-1"), before+1)
		require.Equal(t, errStopped, w.end(t))
	})
}

func TestRun_WaitsForTasks(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(2)
		const slow = time.Minute // longer than all time limits
		first := h.enterWith(t.Context(), 2, func(ctx context.Context, task string) error {
			<-ctx.Done()
			if task == "job-0" {
				time.Sleep(slow)
			}

			return nil
		})
		time.Sleep(soon)
		second := h.enter(t, 2)
		time.Sleep(soon)
		first.stop(errStopped)
		time.Sleep(soon)
		require.Equal(t, []string{"job-1"}, second.has(), "the worker immediately releases a task that has returned")
		time.Sleep(slow - soon)
		require.Equal(t, []string{"job-1"}, second.has(), "the worker keeps a task that has not returned")
		time.Sleep(2 * soon)
		require.Equal(t, errStopped, <-first.done)
		require.Equal(t, h.tasks, second.has())
		require.Equal(t, errStopped, second.end(t))
		h.requireOnce(t)
	})
}

// The test ends ctx at many moments before, during and after the grants. Run always leaves all tasks free.
func TestRun_StoppedDuringGrants(t *testing.T) {
	t.Parallel()
	for step := range 200 {
		after := time.Duration(step/2) * 100 * time.Microsecond
		bubbletest.Test(t, func(t *testing.T) {
			h := newHall(5)
			h.Late = step%2 == 1
			w := h.enter(t, 2)
			time.Sleep(after)
			require.Equal(t, errStopped, w.end(t))
			next := h.enter(t, 5)
			time.Sleep(soon)
			require.Len(t, next.has(), 5)
			require.Equal(t, errStopped, next.end(t))
			h.requireOnce(t)
		})
	}
}

func TestRun_StoppedWithoutAServer(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(3)
		h.SetFault(failing("Session", errors.New("no route to host")))
		w := h.enter(t, 2)
		time.Sleep(time.Minute)
		require.Equal(t, errStopped, w.end(t))
		require.Empty(t, w.has())
	})
}

func TestRun_ReleaseWithoutAServer(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(3)
		w := h.enter(t, 2)
		time.Sleep(soon)
		h.SetDelay(func() time.Duration { return time.Hour })
		began := time.Now()
		w.stop(errStopped)
		require.Equal(t, errStopped, <-w.done)
		require.LessOrEqual(t, time.Since(began), 10*time.Second)
	})
}

func TestRun_ReturnsPermanentErrors(t *testing.T) {
	t.Parallel()
	denied := &coordtest.StatusError{Status: Ydb.StatusIds_UNAUTHORIZED, Text: "no"}
	for _, test := range []struct{ call, want string }{
		{"DescribeNode", `look up node "/local/test": UNAUTHORIZED (no): check the credentials, their rights and the path`},
		{"AcquireSemaphore", `on node "/local/test": the server refuses: check the right to write to the node`},
	} {
		t.Run(test.call, func(t *testing.T) {
			t.Parallel()
			bubbletest.Test(t, func(t *testing.T) {
				h := newHall(3)
				h.SetFault(failing(test.call, denied))
				w := h.enter(t, 2)
				require.ErrorContains(t, <-w.done, test.want)
				require.Empty(t, h.runs)
			})
		})
	}
}

// A program with several pools learns from the error which of them has ended. The cause of the end of ctx is returned
// as it is, because callers compare it.
func TestRun_NamesThePool(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(3)
		denied := &coordtest.StatusError{Status: Ydb.StatusIds_UNAUTHORIZED, Text: "no"}
		h.SetFault(failing("DescribeNode", denied))
		work := func(context.Context, string) error { return nil }
		err := run(t.Context(), h, path, h.tasks, 1, work, workers.WithPool("mail"))
		const text = `pool "mail": look up node "/local/test": UNAUTHORIZED (no): check the credentials, their rights ` +
			"and the path"
		require.EqualError(t, err, text)
		require.ErrorIs(t, err, denied)
		_, err = workers.Look(t.Context(), h, path, workers.Names(h.tasks...), workers.WithPool("mail"))
		require.EqualError(t, err, text)
		h.SetFault(nil)

		ctx, stop := context.WithCancelCause(t.Context())
		stop(errStopped)
		require.Equal(t, errStopped, run(ctx, h, path, h.tasks, 1, work))
	})
}

// A task that the server refuses does not affect the others, and is tried again.
func TestRun_RefusedTask(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(3)
		require.NoError(t, h.CreateNode(t.Context(), path, coordination.NodeConfig{}))
		h.CreatePersistent(path, "job-2", 1)
		w := h.enter(t, 3)
		time.Sleep(settled + soon)
		require.Equal(t, []string{"job-0", "job-1"}, w.has())
		require.Contains(t, w.story(),
			`Refused{job-2 acquire semaphore "job-2" on node "/local/test": the semaphore is persistent`)
		time.Sleep(time.Minute)
		require.Greater(t, strings.Count(w.story(), "Refused{job-2"), 2)
		require.Equal(t, errStopped, w.end(t))
	})
}

// Run fails if the server refuses every task.
func TestRun_AllTasksRefused(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := newHall(3)
		require.NoError(t, h.CreateNode(t.Context(), path, coordination.NodeConfig{}))
		for _, task := range h.tasks {
			h.CreatePersistent(path, task, 1)
		}
		w := h.enter(t, 2)
		require.ErrorContains(t, <-w.done, "the semaphore is persistent")
		require.Empty(t, h.runs)
	})
}

func TestRun_Arguments(t *testing.T) {
	t.Parallel()
	work := func(context.Context, string) error { return nil }
	for _, test := range []struct {
		name     string
		tasks    []string
		capacity int
		work     func(context.Context, string) error
		opt      workers.Option
		want     string
	}{
		{"no work", names(1), 1, nil, nil, "the work is nil"},
		{"no tasks", nil, 1, work, nil, "there are no tasks"},
		{"negative capacity", names(1), -1, work, nil, "the capacity is -1: it must be at least 0"},
		{"empty task name", []string{""}, 1, work, nil, `task "": the semaphore name is empty`},
		{"duplicate task", []string{"a", "b", "a"}, 1, work, nil, `task "a" is listed twice`},
		{
			"long data", names(1), 1, work, workers.WithData(make([]byte, 1<<20+1)),
			"the data has 1048577 bytes: the limit is 1048576",
		},
		{
			"timeout", names(1), 1, work, workers.WithTimeout(time.Hour),
			"the timeout 1h0m0s is out of range: it must be between 100ms and 30m0s",
		},
		{
			"description", names(1), 1, work, workers.WithDescription(strings.Repeat("x", 1025)),
			"the description has 1025 bytes: the limit is 1024",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := []workers.Option{workers.WithoutCreate()}
			if test.opt != nil {
				opts = append(opts, test.opt)
			}
			service := coordtest.NewService()
			err := run(t.Context(), service, path, test.tasks, test.capacity, test.work, opts...)
			require.EqualError(t, err, inPool+test.want)
			require.Zero(t, service.Calls("DescribeNode"))
		})
	}
}

// failing returns a fault that makes calls of one method fail with err.
func failing(call string, err error) func(string) error {
	return func(called string) error {
		if called == call {
			return err
		}

		return nil
	}
}
