package workers

import (
	"context"
	"errors"
	"fmt"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clock"
	"tenure/internal/term"
)

// ErrLost is wrapped by the cause ([context.Cause]) of the end of a task's context if the task was lost: the worker's
// session has ended, or could not be kept alive.
var ErrLost = term.ErrLost

// Lease returns the lease of the task that runs with this context. It returns nil if ctx is not, and does not derive
// from, a context that [Run] passed to work. Run releases the lease: the caller must not.
func Lease(ctx context.Context) coordination.Lease { return term.Lease(ctx) }

// Token returns the fencing token of the task that runs with this context. The token of each of a task's owners is
// greater than those of all its earlier owners. The first call may ask the server.
//
// Token returns an error if ctx is not, and does not derive from, a context that [Run] passed to work, if the task is
// lost, or if ctx ends before the server has answered.
func Token(ctx context.Context) (uint64, error) { return term.Token(ctx) }

// Run is one worker. It runs up to capacity of the tasks, each while it holds the ephemeral semaphore with the task's
// name on the coordination node at path, which Run creates if it is missing. There must be at least one task, and each
// name must be unique. The capacity must be at least 1.
//
// The worker waits for all tasks at the same time and takes the first ones that it gets. When it runs capacity of them,
// it stops waiting for the others and releases any surplus. As soon as it has room again, it waits for all tasks that
// it does not own. So a free task immediately goes to a worker that has room.
//
// For each task that the worker gets, it calls work on a new goroutine with the task's name. The context of work
// derives from ctx and also ends when the task is lost. When work returns, with or without an error, Run reports that
// as [Ended] and releases the task, which any worker may then run again. This worker waits before it asks for the task
// again: for 1 s at first, and for up to 1 min if the task keeps returning early.
//
// When the worker loses its session, Run cancels the contexts of all tasks, waits until work has returned for each, and
// starts over with a new session. When ctx ends, Run does the same with the tasks, releases each as soon as its work
// has returned, and returns the cause of the end of ctx ([context.Cause]).
//
// Run retries transient errors after a pause that grows to a few seconds: the server cannot be reached or is
// overloaded, or the session does not start. A permanent error makes it stop all tasks and return the error: invalid
// arguments, missing rights, a path that is not a node, a persistent semaphore with a task's name. Use [errors.As] to
// get at the client's errors.
func Run(
	ctx context.Context, client coordination.Client, path string, tasks []string, capacity int,
	work func(ctx context.Context, task string) error, opts ...Option,
) error {
	w := &worker{
		config: config{observe: func(Event) {}, term: term.Config{Client: client, Path: path}},
		names:  tasks,
		work:   work,
		clock:  clock.Go(),
		pool:   newPool(len(tasks), capacity),
		rests:  make([]rest, len(tasks)),
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&w.config)
		}
	}
	if err := w.check(ctx); err != nil {
		return fmt.Errorf("workers: %w", err)
	}
	for i := range w.rests {
		w.rests[i] = newRest()
	}
	w.opener = term.NewOpener(w.term, w.noSession)

	return w.opener.Repeat(ctx, func() error { return w.once(ctx) }, w.retry)
}

// A worker is one call of Run.
type worker struct {
	config

	names  []string // the names of the tasks
	work   func(context.Context, string) error
	clock  clock.Clock
	opener *term.Opener
	pool   *pool
	rests  []rest // of each task, across all sessions
}

func (w *worker) check(ctx context.Context) error {
	if ctx == nil {
		return errors.New("the context is nil")
	}
	if w.work == nil {
		return errors.New("the work is nil")
	}
	if len(w.names) == 0 {
		return errors.New("there are no tasks")
	}
	if w.pool.capacity < 1 {
		return fmt.Errorf("the capacity is %d: it must be at least 1", w.pool.capacity)
	}
	seen := map[string]bool{}
	for _, task := range w.names {
		if err := term.CheckName(task); err != nil {
			return fmt.Errorf("task %q: %w", task, err)
		}
		if seen[task] {
			return fmt.Errorf("task %q is listed twice", task)
		}
		seen[task] = true
	}

	return w.term.Check()
}

// once opens a session and works until it ends. It never returns nil.
func (w *worker) once(ctx context.Context) error {
	t, err := w.opener.Open(ctx)
	if err != nil {
		return err
	}
	w.observe(Asking{Session: t.SessionID()})

	return newShift(w, t).run(ctx)
}
