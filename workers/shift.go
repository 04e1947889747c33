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
// fields; each acquire, task and release has a goroutine of its own, which reports as the last thing it does, and run
// waits for all of them.
type shift struct {
	*worker

	term    *term.Term
	reports chan report
	jobs    []job
	full    bool  // Full has been observed
	over    error // why the shift is over; nil: it is not

	tasks     context.Context // of the tasks
	stopTasks context.CancelCauseFunc
	calls     context.Context // of acquires and releases: it outlives that of run, for the releases
	stopCalls context.CancelFunc
}

// A job is what the shell keeps of a task.
type job struct {
	leave context.CancelFunc // ends the acquire under way
	lease coordination.Lease // held, or on its way back
	began clock.Instant      // when the function was called
	until clock.Instant      // until when the task rests after it has been given back; 0: it does not
}

// A report says how a step has come out.
type report struct {
	step

	lease coordination.Lease // of ask; nil: none
	err   error              // of ask and start
	held  bool               // of start: the lease was held until the function returned
}

func newShift(w *worker, t *term.Term) *shift {
	return &shift{worker: w, term: t, reports: make(chan report), jobs: make([]job, len(w.names))}
}

// run returns why the shift is over, when all that was started has ended and the session is closed.
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

	// Only now: as long as a task may be running, no limit may end the session and so pass the task on.
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

// perform does what the pool owes.
func (s *shift) perform() {
	for _, step := range s.pool.take() {
		job, name := &s.jobs[step.task], s.names[step.task]
		switch step.do {
		case ask:
			ctx, cancel := context.WithCancel(s.calls)
			job.leave = cancel
			go func() {
				lease, err := s.term.Acquire(ctx, name)
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
				_ = s.term.Release(s.calls, job.lease) // if it fails, so has the session
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
	defer func() { // also when the function ends its goroutine
		done.held = end()
		s.reports <- done
	}()
	done.err = s.work(ctx, s.names[step.task])
}

// await takes in the next thing that happens.
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
		s.notice(ctx) // first: what has ended with the session is not to be asked for again
		s.note(r)
	case <-ended:
		s.notice(ctx)
	case <-lost:
		s.notice(ctx)
	case <-timer.C():
		s.pool.tick(s.clock.Now())
	}
}

// notice looks whether the shift is over.
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

// note tells the pool how a step has come out.
func (s *shift) note(r report) {
	job, now := &s.jobs[r.task], s.clock.Now()
	switch r.do {
	case ask:
		job.leave() // it has come back; this frees what the context holds
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
	case leave: // has no report
	}
}

// blame returns until when a task rests whose acquire has failed. What cannot be mended ends the shift.
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
