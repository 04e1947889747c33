package workers

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clock"
	"tenure/internal/identity"
	"tenure/internal/nocontext"
	"tenure/internal/pool"
	"tenure/internal/term"
)

// Run is one worker of a pool. It runs tasks of the source up to its capacity ([WithCapacity]), each while it holds the
// semaphore with the task's name on the coordination node at path, which Run creates if it is missing.
//
// For each task that the worker gets, it calls work on a new goroutine. The context of work derives from ctx and ends
// when work must return: because ctx has ended, because the task moves to another worker or is no longer in the list,
// or because it is lost. In all cases but the last, the worker releases the task when work has returned. See [ErrLost]
// for the cause of the end of the context.
//
// If work returns without being told to, with or without an error, the worker keeps the task and calls work again after
// a pause ([WithBackoff]), or leaves the task to others ([WithGiveUp]). An error that wraps [ErrLost] is not a failure:
// work returns it if it has stopped early because the lease was in danger, and runs again. A panic in work counts as an
// error ([PanicError]). The pause and the number of failures are recorded on the server, so that the next worker
// respects them. With [WithOnce], a task whose work returns nil is done instead.
//
// When the worker loses its session, the contexts of all tasks end, and Run opens a new session immediately. A function
// that has not returned keeps its share of the capacity, and the worker does not ask for its task.
//
// When ctx ends, Run tells the functions to return, releases each task as soon as its function has returned, and
// returns the cause of the end of ctx ([context.Cause]) when all have returned. See [WithDrain] for a limit.
//
// Run retries transient errors after a pause that grows to a few seconds: the server cannot be reached or is
// overloaded, or the session does not start. It reports a task that the server refuses as [Refused]. A permanent error
// makes it stop all tasks and return the error: invalid arguments, missing rights, a path that is not a node, a source
// that fails, or a server that refuses every task. The text of the error names the pool, unless the error is the cause
// of the end of ctx. Use [errors.As] to get at the client's errors.
func Run(
	ctx context.Context, client coordination.Client, path string, tasks Source,
	work func(ctx context.Context, task *Task) error, opts ...Option,
) error {
	c := defaults()
	c.term.Client, c.term.Path = client, path
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	w := &worker{
		config: c, source: tasks, work: work, clock: clock.Go(), calls: make(chan func()), ended: make(chan error, 1),
		gone: make(chan struct{}),
	}

	return w.named(ctx, w.run(ctx))
}

// A worker is one call of Run. The goroutine of loop owns the fields from running on. Every other goroutine passes its
// results to the loop with tell, and is counted in running. So the loop continues until all of them have ended, which
// may be later than Run.
type worker struct {
	config

	source Source
	work   func(context.Context, *Task) error
	clock  clock.Clock
	calls  chan func()
	ended  chan error    // the result of Run
	gone   chan struct{} // closed when the loop has ended

	stopping context.Context // ends when the worker begins to stop; no new session is opened then
	stop     context.CancelCauseFunc
	tasks    context.Context // parent of the contexts of all tasks
	running  int             // goroutines that pass results to the loop

	timer    clock.Timer
	timed    bool // the clock is that of the client
	core     *pool.Core
	jobs     map[*pool.Task]*job
	shift    *shift // nil: there is no session
	listed   bool   // the source has provided a list
	draining bool
	why      error         // with which Run ends; set when draining
	limit    clock.Instant // when Run ends although functions run; 0: never
	returned bool          // Run has returned
}

// named adds the name of the pool to the result of a call, except to the cause of the end of ctx.
func (c *config) named(ctx context.Context, err error) error {
	if err == nil || ctx != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return err
	}

	return &term.Named{What: "pool", Name: c.poolName, Err: err}
}

func (w *worker) check(ctx context.Context) error {
	switch {
	case ctx == nil:
		return nocontext.Err
	case w.work == nil:
		return errors.New("the work is nil")
	case noSource(w.source):
		return errNoSource
	}

	return w.config.check()
}

// run checks the arguments, starts the loop and waits for the result.
func (w *worker) run(ctx context.Context) error {
	if err := w.check(ctx); err != nil {
		return err
	}
	w.complete()
	w.pool.Who = identity.Self()
	if !w.pool.Named {
		w.pool.Worker = uniqueName()
	}
	if err := w.files.lock(ctx, &w.config); err != nil {
		return err
	}
	w.core = pool.New(w.pool)
	w.jobs = map[*pool.Task]*job{}
	w.tasks = context.WithoutCancel(ctx)
	w.stopping, w.stop = context.WithCancelCause(ctx)
	first := make(chan struct{})
	w.spawn(func() { w.watchSource(first) })
	w.spawn(func() { w.connect(first) })
	go w.loop()

	return <-w.ended
}

// spawn runs f on a goroutine. The caller is the loop, or comes before it.
func (w *worker) spawn(f func()) {
	w.running++
	go func() {
		f()
		w.tell(func() { w.running-- })
	}()
}

// tell makes the loop call f. The caller is a goroutine that is counted in running.
func (w *worker) tell(f func()) { w.calls <- f }

// mention is like tell for goroutines that are not counted. It drops f if the loop has ended.
func (w *worker) mention(f func()) {
	select {
	case w.calls <- f:
	case <-w.gone:
	}
}

// watchSource passes the lists of the source to the core. It closes first after the first list.
func (w *worker) watchSource(first chan<- struct{}) {
	begin := sync.OnceFunc(func() { close(first) })
	err := w.source.Watch(w.stopping, func(specs []Spec) error {
		list, err := check(specs)
		if err != nil {
			return err
		}
		w.tell(func() {
			w.listed = true
			w.core.SetTasks(w.clock.Now(), list)
		})
		begin()

		return nil
	})
	w.tell(func() {
		switch {
		case err != nil && w.stopping.Err() == nil:
			w.drainFor(err)
		case !w.listed:
			w.drainFor(errors.New("the source has provided no list of tasks"))
		}
	})
}

// connect opens one session after the other until the worker stops.
func (w *worker) connect(first <-chan struct{}) {
	select {
	case <-first:
	case <-w.stopping.Done():
		return
	}
	opener := term.NewOpener(w.term, func(without time.Duration, why error) {
		w.tell(func() { w.observe(NoSession{For: without, Err: why}) })
	})
	retry := func(err error, after time.Duration) { w.tell(func() { w.observe(Retry{Err: err, After: after}) }) }
	err := opener.Repeat(w.stopping, func() error {
		t, err := opener.Open(w.stopping)
		if err != nil {
			return err
		}
		over := make(chan error, 1)
		w.tell(func() { w.begin(t, over) })
		stop := t.WatchRefusal(func(refusal error) {
			w.tell(func() { w.observe(SessionRefused{Err: refusal}) })
		})
		defer stop()

		return <-over
	}, retry)
	w.tell(func() { w.drainFor(err) })
}

// loop owns the core. It ends when all goroutines of the worker have ended.
func (w *worker) loop() {
	w.timer = w.clock.NewTimer()
	defer func() { w.timer.Stop() }()
	stopped := w.stopping.Done()
	for w.running > 0 {
		w.perform()
		w.setTimer()
		select {
		case f := <-w.calls:
			w.noticeEnd()
			f()
		case <-stopped:
			stopped = nil
			w.drainFor(context.Cause(w.stopping))
		case <-w.timer.C():
			now := w.clock.Now()
			w.core.Tick(now)
			if w.limit != 0 && now >= w.limit {
				w.abandon()
			}
		}
	}
	close(w.gone)
	w.files.unlock()
	w.result(w.why)
}

// useClock changes to the clock of the client, which a test may move. No instant of the earlier clock is in use: the
// first session begins now.
func (w *worker) useClock(c clock.Clock) {
	if w.timed {
		return
	}
	w.timer.Stop()
	w.timed, w.clock, w.timer = true, c, c.NewTimer()
}

// noticeEnd ends the shift if the session has ended, before other results that follow from it are handled.
func (w *worker) noticeEnd() {
	if w.shift != nil && w.shift.term.Context().Err() != nil {
		w.lose(w.shift)
	}
}

func (w *worker) setTimer() {
	due := w.core.Wake()
	if w.limit != 0 && (due == 0 || w.limit < due) {
		due = w.limit
	}
	if due == 0 {
		w.timer.Stop()
	} else {
		w.timer.Set(w.clock.Now(), due)
	}
}

// drainFor makes the worker give its tasks back and end with this error. The first call counts.
func (w *worker) drainFor(why error) {
	if w.draining {
		return
	}
	if permanent, ok := errors.AsType[*backoff.PermanentError](why); ok {
		why = permanent.Unwrap()
	}
	w.draining, w.why = true, why
	w.stop(why)
	w.observe(Draining{why})
	w.core.Drain(w.clock.Now())
	if w.drain > 0 {
		w.limit = w.clock.Now().Add(w.drain)
	}
}

// abandon makes Run return although functions run. Their tasks remain with the worker.
func (w *worker) abandon() {
	w.limit = 0
	var names []string
	for _, t := range w.core.Running() {
		names = append(names, t.Name)
	}
	if len(names) > 0 {
		w.result(&StuckError{Tasks: names, After: w.drain})
	}
}

// result makes Run return.
func (w *worker) result(err error) {
	if w.returned {
		return
	}
	w.returned = true
	w.ended <- err
}

// checkEnd begins the end of the worker if no task will run again, or if the server refuses all of them. It ends the
// session when a worker that drains has nothing left to do in it.
func (w *worker) checkEnd() {
	if failed, finished := w.core.Finished(); finished && !w.draining {
		var err error
		if len(failed) > 0 {
			err = &FailedError{failed}
		}
		w.drainFor(err)
	}
	if err := w.core.Hopeless(); err != nil && !w.draining {
		w.drainFor(err)
	}
	if !w.draining || w.shift == nil {
		return
	}
	if len(w.core.Running()) == 0 {
		w.shift.hurry()
	}
	if w.core.Still() {
		w.leave(w.shift, w.why)
	}
}

// uniqueName returns a name for a worker without a stable one.
func uniqueName() string {
	var b [4]byte
	_, _ = rand.Read(b[:])
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}

	return fmt.Sprintf("%.100s-%d-%s", strings.ToValidUTF8(host, "?"), os.Getpid(), hex.EncodeToString(b[:]))
}
