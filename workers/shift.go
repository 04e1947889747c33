package workers

import (
	"context"
	"errors"
	"fmt"

	"github.com/cenkalti/backoff/v5"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clock"
	"tenure/internal/pool"
	"tenure/internal/roster"
	"tenure/internal/term"
)

// A shift is a worker's work in one session. The loop of the worker owns the fields that change.
type shift struct {
	*worker

	term  *term.Term
	over  chan<- error // receives the reason for the end of the session
	epoch int

	name  coordination.Lease // of the semaphore of a stable name; nil: not acquired
	share coordination.Lease // of the membership semaphore; nil: not acquired yet

	calls     context.Context // of everything but tasks; it outlives that of Run, so that releases can end
	stopCalls context.CancelFunc
	watching  context.Context // of the goroutine that joins the pool and reads the announcements
	stopWatch context.CancelFunc
	unwatch   func() bool // makes the loop not notice the end of the session
	hurried   bool
	closed    bool // the session is over or not needed any more
	uses      int  // goroutines that use the session
}

// begin joins the pool in a new session.
func (w *worker) begin(t *term.Term, over chan<- error) {
	w.useClock(clock.FromContext(t.Context()))
	s := &shift{worker: w, term: t, over: over}
	s.calls, s.stopCalls = context.WithCancel(w.tasks)
	s.watching, s.stopWatch = context.WithCancel(s.calls)
	w.shift = s
	s.unwatch = func() bool { return false }
	if w.draining {
		w.leave(s, w.why)

		return
	}
	w.running++
	s.unwatch = context.AfterFunc(t.Context(), func() { w.tell(func() { w.running-- }) }) // the loop notices the end
	announcement := w.core.Open(w.clock.Now(), t.SessionID())
	s.epoch = w.core.Epoch()
	s.use(func() { s.join(announcement) })
}

// use runs f, which uses the session, on a goroutine.
func (s *shift) use(f func()) {
	s.uses++
	s.spawn(func() {
		f()
		s.tell(s.release)
	})
}

// release notes that a use has ended. After the last one, it ends the session on the server.
func (s *shift) release() {
	s.uses--
	s.finish()
}

// lose handles the loss of the session.
func (w *worker) lose(s *shift) {
	cause := s.term.Lost()
	w.observe(Lost{Cause: cause})
	w.leave(s, cause)
}

// leave ends the shift. The session ends on the server when no function runs under it any more.
func (w *worker) leave(s *shift, why error) {
	s.closed = true
	w.shift = nil
	s.stopWatch()
	w.core.Shut(w.clock.Now())
	w.perform()
	for _, job := range w.jobs {
		if job.shift == s && job.stop != nil {
			job.stop(lost(job.task.Name, s.term.Lost()))
		}
	}
	s.over <- why
	if s.term.Context().Err() != nil {
		s.stopCalls()
	}
	s.finish()
}

// finish closes the session when nothing uses it.
func (s *shift) finish() {
	if !s.closed || s.uses > 0 {
		return
	}
	s.uses = 1 // nothing may follow
	s.spawn(func() {
		farewell, cancel := term.Farewell(s.tasks)
		defer cancel()
		for _, lease := range []coordination.Lease{s.name, s.share} { // the SDK's client may not end the session
			if lease != nil && s.term.Context().Err() == nil {
				_ = s.term.Release(farewell, lease)
			}
		}
		_ = s.term.Close(farewell, roster.MembersOf(s.poolName)) // if it fails, the session times out
		if s.unwatch() {
			s.tell(func() { s.running-- })
		}
		s.stopCalls()
	})
}

// hurry limits the time for what is left to do in the session, because the server may not answer. The limit must not
// begin while a function runs: it may end the session, and the server would then grant the task to another worker.
func (s *shift) hurry() {
	if s.hurried {
		return
	}
	s.hurried = true
	farewell, cancel := term.Farewell(s.tasks)
	context.AfterFunc(farewell, s.stopCalls)
	context.AfterFunc(s.calls, cancel)
}

// fail ends the session because of an error that concerns all tasks.
func (s *shift) fail(err error) {
	s.tell(func() {
		if s.closed {
			return
		}
		if _, permanent := errors.AsType[*backoff.PermanentError](err); permanent {
			s.drainFor(err)
		}
		s.leave(s, err)
	})
}

// join announces the worker, and then reads the announcements of the others until the session ends.
func (s *shift) join(a roster.Announcement) {
	name, err := s.claim()
	if err != nil {
		s.fail(err)

		return
	}
	s.tell(func() {
		s.name = name
		s.observe(Asking{Session: s.term.SessionID()})
	})
	request := s.membership(a)
	share, _, err := s.term.Acquire(s.watching, request)
	if err != nil {
		s.fail(err)

		return
	}
	s.tell(func() { s.share = share })
	s.watchMembers()
}

// membership returns the request for a share of the membership semaphore with the announcement.
func (s *shift) membership(a roster.Announcement) term.Request {
	return term.Request{Name: roster.MembersOf(s.poolName), Count: 1, Data: a.Encode()}
}

// update replaces the announcement.
func (s *shift) update(a roster.Announcement) {
	epoch := s.epoch
	share := s.share
	s.use(func() {
		err := s.term.SetData(s.calls, share.Context(), s.membership(a), a.Encode())
		s.tell(func() { s.core.Announced(s.clock.Now(), epoch, err) })
	})
}

// perform carries out the steps of the core.
func (w *worker) perform() {
	for {
		steps := w.core.Take()
		if len(steps) == 0 {
			w.checkEnd()
			steps = w.core.Take()
		}
		if len(steps) == 0 {
			return
		}
		for _, step := range steps {
			w.do(step)
		}
	}
}

func (w *worker) do(step pool.Step) {
	switch step := step.(type) {
	case pool.Announce:
		w.shift.update(step.Announcement)
	case pool.Ask:
		w.shift.ask(step.Task)
	case pool.Leave:
		w.jobs[step.Task].leave()
	case pool.Peek:
		w.shift.peek(step.Task.Name)
	case pool.Start:
		w.start(step.Task)
	case pool.Stop:
		w.tellToStop(step)
	case pool.Write:
		w.jobs[step.Task].write(step.Record)
	case pool.Release:
		w.jobs[step.Task].giveBack()
	case pool.Tell:
		w.report(step.Event)
	}
}

// tellToStop ends the context of a function.
func (w *worker) tellToStop(step pool.Stop) {
	job := w.jobs[step.Task]
	switch step.Why {
	case pool.Lost:
		job.stop(lost(step.Task.Name, job.shift.term.Lost()))
	case pool.Moved:
		w.observe(Moving{Task: step.Task.Name, To: step.To})
		job.stop(fmt.Errorf("%w: worker %q has more room", ErrMoved, step.To))
	case pool.Removed:
		job.stop(ErrRemoved)
	case pool.Drained:
		cause := w.why
		if cause == nil {
			cause = context.Canceled
		}
		job.stop(cause)
	}
}

// report passes an event of the core to the observer.
func (w *worker) report(e pool.Event) {
	switch e := e.(type) {
	case pool.Full:
		w.observe(Full(e))
	case pool.Stuck:
		w.observe(Stuck(e))
	case pool.Refused:
		w.observe(Refused(e))
	case pool.Failed:
		w.observe(Failed(e))
	case pool.Done:
		w.observe(Done(e))
	case pool.Unassigned:
		w.observe(Unassigned(e))
	case pool.Mismatch:
		w.observe(Mismatch(e))
	case pool.Members:
		w.observe(Members(e))
	case pool.Adopted:
		w.observe(Adopted(e))
	case pool.GivenBack:
		w.observe(GivenBack(e))
	}
}
