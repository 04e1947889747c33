package workers

import (
	"context"
	"errors"
	"fmt"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clock"
	"tenure/internal/term"
)

// ErrLost is wrapped by the cause of the context of a task whose lease was lost: the session of the worker has ended,
// or could not be kept alive. See [context.Cause].
var ErrLost = term.ErrLost

// Run is one worker: it runs up to capacity of the tasks, each while it holds the ephemeral semaphore of the task's
// name on the coordination node at path. The node is created if it is missing. Tasks need at least one name, none
// twice; capacity is 1 or more.
//
// The worker asks for all tasks at once and takes the first that it gets. When capacity of them run, it gives the
// surplus back and leaves the queues; as soon as there is room again, it asks for all that it does not have. So a task
// that is free goes at once to a worker with room.
//
// For each task that it gets, it calls work, on a goroutine of its own, with the task's name. The context of work is
// ctx, ended also when the task's lease is lost. When work returns, whatever it returns, the task is given back, and
// the worker goes on: tasks are meant to run for ever, so one that returns may be run again by anybody, and by this
// worker after a rest, of a second at first and up to a minute if that happens time and again. See [Ended] for its
// error.
//
// When the worker's session is lost, Run stops all tasks, waits until work has returned for each, and begins anew with
// another session. When ctx ends, it stops all tasks, gives back each as soon as work has returned for it, and returns
// the cause of the end of ctx ([context.Cause]).
//
// What can pass is tried again, after a pause that grows to some seconds: no connection, an overloaded server, a
// session that does not start. What cannot makes Run stop and return: wrong arguments, missing rights, a path that is
// no node, a semaphore of a task's name that is not ephemeral. The errors of the client can be read with [errors.As].
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
		opt(&w.config)
	}
	if err := w.check(); err != nil {
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

	names  []string // of the tasks
	work   func(context.Context, string) error
	clock  clock.Clock
	opener *term.Opener
	pool   *pool
	rests  []rest // of the tasks, over all sessions
}

func (w *worker) check() error {
	if w.work == nil {
		return errors.New("the work is nil")
	}
	if len(w.names) == 0 {
		return errors.New("there are no tasks")
	}
	if w.pool.capacity < 1 {
		return fmt.Errorf("capacity is %d: it must be 1 or more", w.pool.capacity)
	}
	seen := map[string]bool{}
	for _, task := range w.names {
		if err := term.CheckName(task); err != nil {
			return fmt.Errorf("task %q: %w", task, err)
		}
		if seen[task] {
			return fmt.Errorf("task %q is there twice", task)
		}
		seen[task] = true
	}
	if err := term.CheckData(w.data); err != nil {
		return err
	}

	return w.term.Check()
}

// once works for one session. It never returns nil.
func (w *worker) once(ctx context.Context) error {
	t, err := w.opener.Open(ctx)
	if err != nil {
		return err
	}
	w.observe(Asking{Session: t.SessionID()})

	return newShift(w, t).run(ctx)
}
