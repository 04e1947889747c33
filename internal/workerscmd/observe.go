package workerscmd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tenure/internal/cli"
	"tenure/internal/identity"
	"tenure/internal/printable"
	"tenure/internal/term"
	"tenure/workers"
)

// observe tells the user what happens to the worker.
func (w *worker) observe(e workers.Event) {
	switch e := e.(type) {
	case workers.Asking:
		w.opened(e)
	case workers.Full:
		w.full(e)
	case workers.Draining:
		w.draining(e)
	case workers.Lost:
		w.lost(e)
	case workers.SessionRefused:
		w.sessionRefused(e)
	case workers.NoSession:
		w.monitor.NoSession(e.For, e.Err)
	case workers.Retry:
		if errors.Is(e.Err, workers.ErrLost) { // Lost has reported it
			e.Err = nil
		}
		w.monitor.Failed(e.Err)
	case workers.Unassigned:
		w.unassigned(e)
	case workers.Mismatch:
		w.mismatch(e)
	case workers.Members:
		w.meter.change(func(m *meter) { m.workers = len(e.Workers) })
		w.report(event{Event: "members", Workers: e.Workers},
			w.verbosely("%d in the pool: %s", len(e.Workers), some(e.Workers)))
	default:
		w.observeTask(e)
	}
}

// observeTask tells the user what happens to a task.
func (w *worker) observeTask(e workers.Event) {
	switch e := e.(type) {
	case workers.Started:
		w.started(e)
	case workers.Ended:
		w.ended(e)
	case workers.Failed:
		w.failed(e)
	case workers.Done:
		w.done(e)
	case workers.Stuck:
		w.meter.change(func(m *meter) { m.stuck[e.Task] = struct{}{} })
		w.report(event{Event: "stuck", Task: e.Task, For: seconds(e.For)},
			fmt.Sprintf("task %q was told to stop %s ago and still runs", e.Task, cli.Elapsed(e.For)))
	case workers.Refused:
		w.meter.change(func(m *meter) { m.refusals++ })
		text := ""
		if w.state.total() > 1 { // otherwise, Run ends with the error
			text = fmt.Sprintf("task %q is refused: %v: asking again in %s", e.Task, e.Err, cli.Remaining(e.After))
		}
		w.report(event{Event: "refused", Task: e.Task, Cause: e.Err.Error(), After: seconds(e.After)}, text)
	case workers.Blocked:
		w.blocked(e)
	case workers.Moving:
		w.meter.change(func(m *meter) { m.moves++ })
		w.report(event{Event: "moving", Task: e.Task, To: e.To}, w.verbosely("task %q moves to worker %q", e.Task, e.To))
	case workers.Adopted:
		w.meter.change(func(m *meter) { m.adopted++ })
		text := fmt.Sprintf("task %q was free for too long: taking it", e.Task)
		if e.From != "" {
			text = fmt.Sprintf("worker %q has not taken task %q: taking it", e.From, e.Task)
		}
		w.report(event{Event: "adopted", Task: e.Task, From: e.From}, text)
	case workers.GivenBack:
		w.report(event{Event: "given_back", Task: e.Task}, w.verbosely("task %q is given back unused", e.Task))
	}
}

func (w *worker) opened(e workers.Asking) {
	w.ownSession.Store(e.Session)
	waiting := ""
	if w.capacity > 0 {
		waiting = "waiting for a free task on " + w.Place()
	}
	w.monitor.Opened(waiting)
	w.meter.change(func(m *meter) { m.session = true })
	w.say("starting tasks")
	w.report(event{Event: "asking", Session: e.Session}, w.verbosely("joined the pool in session %d", e.Session))
}

func (w *worker) full(e workers.Full) {
	text := "all workers are started"
	if e.Tasks < e.Of {
		text = fmt.Sprintf("running %d of %s (at capacity)", e.Tasks, printable.Count(e.Of, "task", "tasks"))
	}
	w.say(text)
	if w.argv == nil || e.Tasks == e.Of {
		text = ""
	}
	w.report(event{Event: "full", Running: &e.Tasks, Of: &e.Of}, w.verbosely("%s", text))
}

func (w *worker) draining(e workers.Draining) {
	w.monitor.Close()
	running, _ := w.state.load()
	cause := ""
	if e.Cause != nil {
		cause = e.Cause.Error()
	}
	text := ""
	if w.argv != nil && running > 0 {
		text = fmt.Sprintf("stopping %s, at most for %v: %s", tasks(running), w.drain, cause)
	}
	w.report(event{Event: "draining", Running: &running, Cause: cause}, text)
}

func (w *worker) lost(e workers.Lost) {
	w.meter.change(func(m *meter) {
		m.session = false
		m.losses[cli.LossCause(e.Cause)]++
	})
	w.report(event{Event: "lost", Cause: e.Cause.Error()}, cli.LossText(e.Cause))
}

func (w *worker) sessionRefused(e workers.SessionRefused) {
	if e.Err == nil {
		w.report(event{Event: "session_accepted"}, "the server continues the session")

		return
	}
	w.report(event{Event: "session_refused", Cause: e.Err.Error()}, e.Err.Error()+": trying again")
}

func (w *worker) started(e workers.Started) {
	w.monitor.Granted()
	w.state.started(e.Task)
	w.meter.change(func(m *meter) { m.starts++ })
	w.say("worker " + e.Task + ": starting")
	w.report(event{Event: "started", Task: e.Task, Token: e.Token},
		w.commandVerbosely("task %q has started, token %d", e.Task, e.Token))
	w.showProgress(false)
}

func (w *worker) ended(e workers.Ended) {
	w.state.ended(e.Task)
	w.meter.change(func(m *meter) { delete(m.stuck, e.Task) })
	ended := event{Event: "ended", Task: e.Task}
	how := ""
	if e.Err != nil {
		ended.Cause = term.Bare(e.Err).Error()
		how = ": " + ended.Cause
	}
	if code, ok := errors.AsType[exitError](e.Err); ok {
		n := int(code)
		ended.Code = &n
	} else if e.Err == nil && w.argv != nil {
		ended.Code = new(int)
	}
	w.report(ended, w.commandVerbosely("task %q has ended%s", e.Task, how))
}

func (w *worker) failed(e workers.Failed) {
	failed := event{
		Event: "failed", Task: e.Task, Failures: e.Failures, After: seconds(e.After), GaveUp: e.GaveUp, Final: e.Final,
	}
	how := "has ended"
	if e.Err != nil {
		w.meter.change(func(m *meter) { m.failures++ })
		failed.Cause = e.Err.Error()
		how = "has failed: " + failed.Cause
	}
	if panicked, ok := errors.AsType[*workers.PanicError](e.Err); ok {
		how += "\n" + string(panicked.Stack)
	}
	in := e.After.Round(time.Millisecond)
	switch {
	case e.Final:
		w.state.failedFor(e.Task, failed.Cause)
		how += ": not running it again"
	case e.GaveUp:
		how += fmt.Sprintf(" (%d times in a row): leaving it to others for a while", e.Failures)
	case e.Failures > 1:
		how += fmt.Sprintf(" (%d times in a row): running it again in %v", e.Failures, in)
	default:
		how += fmt.Sprintf(": running it again in %v", in)
	}
	w.report(failed, fmt.Sprintf("task %q %s", e.Task, how))
	w.showProgress(false)
}

func (w *worker) blocked(e workers.Blocked) {
	var by []string
	for _, h := range e.Holders {
		text := identity.ReadCard(h.Data).Who
		switch {
		case h.Lost > 0:
			text = fmt.Sprintf("session %d of this process, which was lost: at most %s", h.Session, cli.Remaining(h.Lost))
		case text == "":
			text = fmt.Sprintf("session %d", h.Session)
		}
		by = append(by, text)
	}
	w.report(event{Event: "blocked", Task: e.Task, Cause: strings.Join(by, ", ")},
		fmt.Sprintf("waiting for task %q: held by %s", e.Task, strings.Join(by, ", ")))
}

func (w *worker) unassigned(e workers.Unassigned) {
	w.meter.change(func(m *meter) { m.unassigned = len(e.Tasks) })
	text := "every task is assigned"
	if len(e.Tasks) > 0 {
		text = unassignedLine(sorted(e.Tasks), e.Of)
	}
	if w.once { // tasks that wait are as expected, and the progress counts them
		text = w.verbosely("%s", text)
	}
	w.report(event{Event: "unassigned", Tasks: e.Tasks, Of: &e.Of}, text)
}

func (w *worker) mismatch(e workers.Mismatch) {
	text := "all workers have the same list of tasks"
	switch len(e.Workers) {
	case 0:
	case 1:
		text = fmt.Sprintf("worker %s has another list of tasks than this one", cli.Quoted(e.Workers))
	default:
		text = fmt.Sprintf("%d workers have another list of tasks than this one: %s", len(e.Workers), some(e.Workers))
	}
	w.report(event{Event: "mismatch", Workers: e.Workers}, text)
}

// commandVerbosely is verbosely for what the demonstration tasks report themselves.
func (w *worker) commandVerbosely(format string, args ...any) string {
	if w.argv == nil {
		return ""
	}

	return w.verbosely(format, args...)
}

// done notes that no worker runs a task again.
func (w *worker) done(e workers.Done) {
	if e.Failed {
		w.state.failedFor(e.Task, "")
		w.report(event{Event: "failed", Task: e.Task, Final: true},
			w.verbosely("task %q has failed for good in another worker", e.Task))
	} else {
		w.state.finished(e.Task)
		w.report(event{Event: "done", Task: e.Task, Here: e.Here}, w.verbosely("task %q is done", e.Task))
	}
	w.showProgress(false)
}
