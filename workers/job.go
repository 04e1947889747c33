package workers

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clock"
	"tenure/internal/pool"
	"tenure/internal/roster"
	"tenure/internal/term"
)

// A job is the shell's part of a task, from the acquire to the release. The loop of the worker owns it.
type job struct {
	shift *shift
	task  *pool.Task

	leave context.CancelFunc // cancels the acquire
	grant grant

	outdated bool // an earlier run under the lease may have replaced the state in grant

	stop  context.CancelCauseFunc // ends the context of the function; nil: it does not run
	began clock.Instant           // when the function was called
}

// A grant is what the worker knows of a task that it has acquired.
type grant struct {
	lease  coordination.Lease
	token  uint64
	state  []byte
	record roster.Record
}

// ask acquires a task.
func (s *shift) ask(t *pool.Task) {
	ctx, cancel := context.WithCancel(s.calls)
	job := &job{shift: s, task: t, leave: cancel}
	s.jobs[t] = job
	s.use(func() {
		g, err := s.acquire(ctx, t.Name)
		s.tell(func() {
			gone := ctx.Err() != nil
			cancel() // frees the resources of the context
			job.settle(g, err, gone)
		})
	})
}

// settle handles the result of an acquire.
func (j *job) settle(g grant, err error, cancelled bool) {
	s, now := j.shift, j.shift.clock.Now()
	if s.closed { // a lease ends with its session, also if the core already works in the next one
		delete(s.jobs, j.task)
		s.core.Missed(now, j.task, nil)

		return
	}
	if err == nil {
		j.grant = g
		s.core.Granted(now, j.task, g.record, g.record.Wait(s.clock.Time(now)))

		return
	}
	delete(s.jobs, j.task)
	if permanent, ok := errors.AsType[*backoff.PermanentError](err); ok && !cancelled {
		s.core.Missed(now, j.task, permanent.Unwrap())

		return
	}
	s.core.Missed(now, j.task, nil)
}

// acquire acquires a task and reads what is known of it. The record and the state are read under the lease, so no other
// worker writes them meanwhile.
func (s *shift) acquire(ctx context.Context, name string) (grant, error) {
	request := term.Request{Name: name, Look: true}
	if s.persistent {
		request.Limit = coordination.MaxSemaphoreLimit
	}
	lease, found, err := s.term.Acquire(ctx, request)
	if err != nil {
		return grant{}, err
	}
	g := grant{lease: lease}
	if g.token, g.state, err = s.read(request, lease, found); err == nil {
		g.record, err = readRecord(s.calls, s.term, name)
	}
	if s.term.Context().Err() != nil { // the core knows, or will know, that the session is over
		err = nil
	}
	if err == nil {
		return g, nil
	}
	_ = s.term.Release(s.calls, lease) // it fails only if the session has failed

	return grant{}, err
}

// read returns the token, and the state of a persistent task.
func (s *shift) read(
	r term.Request, lease coordination.Lease, found *term.State,
) (token uint64, state []byte, err error) {
	if s.persistent && found == nil {
		if found, err = s.term.Look(s.calls, r.Name); err != nil {
			return 0, nil, err
		}
	}
	if token, err = s.term.Read(s.calls, lease, found, r); err != nil {
		return 0, nil, err
	}
	if s.persistent {
		state = found.Data
	}

	return token, state, nil
}

// start calls the function of a task.
func (w *worker) start(t *pool.Task) {
	j := w.jobs[t]
	s := j.shift
	task := &Task{
		name: t.Name, weight: t.Weight(), failures: t.Failures(), token: j.grant.token, lease: j.grant.lease,
		state: j.grant.state, keeps: w.persistent, files: &w.files, worker: w.pool.Worker,
	}
	task.heard = w.hear(t)
	parent, stop := context.WithCancelCause(w.tasks)
	j.stop, j.began = stop, w.clock.Now()
	w.core.Started(j.began, t, w.clock.Time(j.began))
	w.observe(Started{Task: t.Name, Token: j.grant.token})
	ctx, end := under(parent, t.Name, j.grant.lease)
	outdated := j.outdated
	s.use(func() {
		var err error
		if outdated {
			task.state, err = s.readState(t.Name)
		}
		if err == nil {
			err = call(ctx, task, w.work)
		}
		told := ctx.Err() != nil
		saved := task.end()
		held := end()
		w.tell(func() {
			j.outdated = j.outdated || saved
			j.ended(err, held, told)
		})
	})
}

// readState reads the state of a task that the worker owns.
func (s *shift) readState(name string) ([]byte, error) {
	ctx, cancel := term.Limit(s.calls)
	defer cancel()
	found, err := s.term.Look(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read the state of task %q: %w", name, err)
	}

	return found.Data, nil
}

// lost returns the error for the loss of a task.
func lost(task string, cause error) error { return &term.Named{What: "task", Name: task, Err: cause} }

// under returns a context for a function under a lease. The context ends with ctx or with the lease. In the latter case
// its cause wraps ErrLost. The caller calls end when the function has returned. end reports whether the lease was held
// until then.
func under(ctx context.Context, task string, lease coordination.Lease) (work context.Context, end func() (held bool)) {
	work, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(lease.Context(), func() { cancel(lost(task, term.LostLease(lease))) })

	return work, func() bool {
		defer cancel(nil)

		return stop()
	}
}

// hearPause is the time between two reports to the loop that a task was heard from.
const hearPause = time.Second

// hear returns the function behind Task.Heard.
func (w *worker) hear(t *pool.Task) func() {
	var last atomic.Int64

	return func() {
		now := w.clock.Now()
		before := last.Load()
		if before != 0 && now < clock.Instant(before).Add(hearPause) || !last.CompareAndSwap(before, int64(now)) {
			return
		}
		date := w.clock.Time(now)
		w.mention(func() { w.core.Heard(w.clock.Now(), t, date) })
	}
}

// call calls the function of a task. It turns a panic and a Goexit into errors.
func call(ctx context.Context, task *Task, work func(context.Context, *Task) error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = ErrGoexit
		defer func() {
			if v := recover(); v != nil {
				err = &PanicError{Value: v, Stack: debug.Stack()}
			}
		}()
		err = work(ctx, task)
	}()
	<-done

	return err
}

// ended handles the end of a function.
func (j *job) ended(err error, held, told bool) {
	s, now := j.shift, j.shift.clock.Now()
	j.stop(nil)
	j.stop = nil
	s.observe(Ended{Task: j.task.Name, Err: err, Lost: !held, Told: told})
	s.core.Ended(now, j.task, pool.Result{
		Err: err, Held: held, Told: told, Interrupted: errors.Is(err, ErrLost), Ran: now.Sub(j.began),
	})
	if !held || s.closed {
		delete(s.jobs, j.task)
	}
}

// write writes the record of the task.
func (j *job) write(r roster.Record) {
	s := j.shift
	r.At, r.Worker, r.Token = s.clock.Time(s.clock.Now()), s.pool.Worker, j.grant.token
	s.use(func() {
		err := writeRecord(s.calls, s.term, j.task.Name, r)
		s.tell(func() { s.core.Written(s.clock.Now(), j.task, err) })
	})
}

// giveBack releases the task.
func (j *job) giveBack() {
	s := j.shift
	s.use(func() {
		_ = s.term.Release(s.calls, j.grant.lease) // it fails only if the session has failed
		s.tell(func() {
			if s.jobs[j.task] == j {
				delete(s.jobs, j.task)
			}
			s.core.Released(s.clock.Now(), j.task)
		})
	})
}

// readRecord reads the record of a task.
func readRecord(ctx context.Context, t *term.Term, task string) (roster.Record, error) {
	name := roster.RecordOf(task)
	for {
		found, err := t.Look(ctx, name)
		switch {
		case term.Missing(err), err == nil && found.Missing():
			return roster.Record{}, nil
		case err == nil:
			r, err := roster.DecodeRecord(name, found.Data)
			if err != nil {
				return r, backoff.Permanent(err)
			}

			return r, nil
		case ctx.Err() != nil:
			return roster.Record{}, context.Cause(ctx)
		case t.Context().Err() != nil:
			return roster.Record{}, lost(task, t.Lost())
		}
		if !clock.Pause(ctx, clock.Go(), recordPause) {
			return roster.Record{}, context.Cause(ctx)
		}
	}
}

// recordPause is the pause between attempts to read or write a record.
const recordPause = 500 * time.Millisecond

// recordTries is how often writing a record is tried. A worker without the right to create semaphores cannot write it.
const recordTries = 5

// writeRecord writes the record of a task.
func writeRecord(ctx context.Context, t *term.Term, task string, r roster.Record) error {
	name := roster.RecordOf(task)
	var err error
	for range recordTries {
		if err = t.Put(ctx, name, r.Encode()); err == nil || t.Context().Err() != nil || ctx.Err() != nil {
			return err
		}
		clock.Pause(ctx, clock.Go(), recordPause)
	}

	return fmt.Errorf("record the state of task %q: %w", task, err)
}
