package workers

import (
	"context"
	"errors"

	"github.com/cenkalti/backoff/v5"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clock"
	"tenure/internal/term"
)

// A shift is a worker's work in one session: the shell around the pool. The goroutine of run owns the pool and all
// fields. Each acquire, task and release has its own goroutine, which sends a report as its last action, and run waits
// for all of them.
type shift struct {
	*worker

	term    *term.Term
	reports chan report
	jobs    []job
	full    bool  // Full was observed
	over    error // the reason for the end of the shift; nil: it has not ended

	tasks     context.Context // parent of the tasks' contexts
	stopTasks context.CancelCauseFunc
	calls     context.Context // of acquires and releases; it outlives that of run, so that releases can end
	stopCalls context.CancelFunc
}

// A job is the shell's part of a task.
type job struct {
	leave context.CancelFunc // cancels the pending acquire
	lease coordination.Lease // held, or being released
	began clock.Instant      // when the function was called
	until clock.Instant      // the end of the task's rest after the release; 0: it does not rest
}

// A report is the result of a step.
type report struct {
	step

	lease coordination.Lease // of ask, or nil
	err   error              // of ask and start
	held  bool               // of start: whether the lease was held until the function returned
}

func newShift(w *worker, t *term.Term) *shift {
	return &shift{worker: w, term: t, reports: make(chan report), jobs: make([]job, len(w.names))}
}

// run works until ctx or the session ends, or an error is permanent. It returns the reason when everything it started
// has stopped and the session is closed.
func (s *shift) run(ctx context.Context) error {
	s.tasks, s.stopTasks = context.WithCancelCause(ctx)
	defer s.stopTasks(nil)
	s.calls, s.stopCalls = context.WithCancel(context.WithoutCancel(ctx))
	defer s.stopCalls()
	timer := s.clock.NewTimer()
	defer timer.Stop()

	s.pool.open()
	for s.over == nil || s.pool.held > 0 {
		s.perform()
		s.await(ctx, timer)
	}

	// The time limit starts only now. It may end the session, and must not do so while a task may still be running,
	// because the server would then grant the task to another worker.
	farewell, cancel := term.Farewell(ctx)
	defer cancel()
	defer context.AfterFunc(farewell, s.stopCalls)()
	for !s.pool.still() {
		s.perform()
		s.await(ctx, timer)
	}
	_ = s.term.Close(farewell, s.names[0]) // if it fails, the session times out

	return s.over
}

// perform carries out the pool's steps.
func (s *shift) perform() {
	for _, step := range s.pool.take() {
		job, name := &s.jobs[step.task], s.names[step.task]
		switch step.do {
		case ask:
			ctx, cancel := context.WithCancel(s.calls)
			job.leave = cancel
			go func() {
				lease, _, err := s.term.Acquire(ctx, term.Request{Name: name})
				s.reports <- report{step: step, lease: lease, err: err}
			}()
		case leave:
			job.leave()
		case start:
			job.began = s.clock.Now()
			s.observe(Started{Task: name})
			go s.serve(step, job.lease)
		case release:
			go func() {
				_ = s.term.Release(s.calls, job.lease) // it fails only if the session has failed
				s.reports <- report{step: step}
			}()
		}
	}
	full := s.pool.full()
	if full && !s.full {
		s.observe(Full{Tasks: s.pool.held, Of: len(s.names)})
	}
	s.full = full
}

// serve runs a task's function under its lease.
func (s *shift) serve(step step, lease coordination.Lease) {
	done := report{step: step}
	ctx, end := term.Under(s.tasks, &term.Grant{Lease: lease, Name: s.names[step.task]}, func(error) {})
	defer func() { // also if the function calls runtime.Goexit
		done.held = end()
		s.reports <- done
	}()
	done.err = s.work(ctx, s.names[step.task])
}

// await waits for the next event and processes it.
func (s *shift) await(ctx context.Context, timer clock.Timer) {
	ended, lost := ctx.Done(), s.term.Context().Done()
	if s.over != nil {
		ended, lost = nil, nil
	}
	timer.Stop()
	if wake := s.pool.wake(); wake != 0 {
		timer.Set(s.clock.Now(), wake)
	}

	select {
	case r := <-s.reports:
		s.notice(ctx) // before note, so that the worker does not ask again for tasks that ended with the session
		s.note(r)
	case <-ended:
		s.notice(ctx)
	case <-lost:
		s.notice(ctx)
	case <-timer.C():
		s.pool.tick(s.clock.Now())
	}
}

// notice ends the shift if ctx or the session has ended.
func (s *shift) notice(ctx context.Context) {
	switch {
	case s.over != nil:
	case ctx.Err() != nil:
		s.stop(context.Cause(ctx))
	case s.term.Context().Err() != nil:
		cause := s.term.Lost()
		s.observe(Lost{Cause: cause})
		s.stop(cause)
	}
}

// stop ends the shift and its tasks.
func (s *shift) stop(why error) {
	s.over = why
	s.stopTasks(why)
	s.pool.shut()
}

// note passes the result of a step to the pool.
func (s *shift) note(r report) {
	job, now := &s.jobs[r.task], s.clock.Now()
	switch r.do {
	case ask:
		job.leave() // frees the resources of the context
		if r.err == nil {
			job.lease = r.lease
			s.pool.granted(r.task)

			return
		}
		s.pool.missed(r.task, s.blame(r, now))
	case start:
		job.until = 0
		if r.held {
			job.until = s.rests[r.task].after(now.Sub(job.began), now)
		}
		s.observe(Ended{Task: s.names[r.task], Err: r.err, Lost: !r.held})
		s.pool.ended(r.task)
	case release:
		job.lease = nil
		s.pool.released(r.task, job.until)
	case leave: // never reported
	}
}

// blame handles the error of an acquire and returns when the rest of its task ends. A permanent error ends the shift.
func (s *shift) blame(r report, now clock.Instant) clock.Instant {
	if s.over != nil || s.pool.states[r.task] == leaving {
		return 0
	}
	if permanent, ok := errors.AsType[*backoff.PermanentError](r.err); ok {
		s.stop(permanent)

		return 0
	}

	return s.rests[r.task].after(0, now)
}
