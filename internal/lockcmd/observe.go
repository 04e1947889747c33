package lockcmd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tenure/internal/cli"
	"tenure/internal/command"
	"tenure/internal/look"
	"tenure/internal/term"
	"tenure/lock"
)

// observe tells the user what happens to the lock.
func (l *locker) observe(e lock.Event) {
	switch e := e.(type) {
	case lock.Waiting:
		l.waiting(e)
	case lock.Acquired:
		l.display.end()
		l.monitor.Granted()
		l.metered.acquired(e.Waited)
		l.endangered = false
		l.say("the lock is acquired")
		l.report(event{Event: "acquired", Tokens: e.Tokens, Waited: seconds(e.Waited)},
			l.verbosely("acquired %s after %v", cli.Quoted(l.names), e.Waited.Round(time.Millisecond)))
	case lock.Danger:
		l.endangered = true
		cause := term.Bare(e.Cause) // it concerns all of the locks
		l.report(event{Event: "danger", Remaining: seconds(e.Remaining), Cause: cause.Error()},
			withoutLoss(cause)+": stopping COMMAND")
	case lock.Safe:
		l.report(event{Event: "safe", Remaining: seconds(e.Remaining)},
			"the server answers again, but COMMAND is already stopping")
	case lock.Lost:
		l.metered.lost(e.Cause)
		cause := l.loss(e.Cause)
		text := cli.LossText(cause)
		switch {
		case l.endangered: // Danger has said it
			text = ""
		case l.command != nil:
			text += ": stopping COMMAND"
		}
		l.report(event{Event: "lost", Cause: cause.Error()}, text)
	case lock.Released:
		l.released(e)
	case lock.SessionRefused:
		l.refused(e)
	case lock.NoSession:
		l.display.end()
		l.monitor.NoSession(e.For, e.Err)
	case lock.Retry:
		l.display.end()
		if errors.Is(e.Err, lock.ErrLost) { // Lost has reported it if the lock was held
			e.Err = nil
		}
		l.monitor.Failed(e.Err)
	}
}

// loss returns the cause for which COMMAND is stopped. If there is only one lock, it does not name it.
func (l *locker) loss(cause error) error {
	if len(l.names) == 1 {
		return term.Bare(cause)
	}

	return cause
}

// withoutLoss returns the text of the cause without that of [lock.ErrLost]: a lease that is in danger is not lost yet.
func withoutLoss(cause error) string {
	return strings.TrimPrefix(cause.Error(), lock.ErrLost.Error()+": ")
}

// stopped tells the user what happens to COMMAND, except what observe tells.
func (l *locker) stopped(e command.Event) {
	switch e := e.(type) {
	case command.Started:
		if l.onGrant != nil {
			l.onGrant()
		}
	case command.Stopping:
		text := "" // the user knows, or Danger or Lost has said it
		if errors.Is(e.Cause, command.ErrTimeIsUp) {
			text = fmt.Sprintf("%s=%v is over: stopping COMMAND with %s", cli.Setting(l.cmd, "max-hold"), l.maxHold,
				command.SignalName(e.Signal))
		}
		l.report(event{Event: "stopping", Signal: command.SignalName(e.Signal), Cause: l.loss(e.Cause).Error()}, text)
	case command.Killing:
		l.complain(errors.New(command.Killing{Cause: errors.New(cli.LossText(l.loss(e.Cause)))}.String()))
	case command.Suspended, command.Problem:
		l.complain(errors.New(e.String()))
	}
}

// waiting shows the queue for the lock.
func (l *locker) waiting(e lock.Waiting) {
	q := queue{Names: l.names, Server: l.Place(), Ahead: -1}
	if e.Holders == nil {
		if e.Session != l.lastSession {
			l.lastSession = e.Session
			l.monitor.Opened("")
			l.notifier.waiting()
			l.say("waiting for a lock...")
		}
		if l.wait != 0 { // otherwise it does not wait, however slow the server is
			l.display.set(q)
		}

		return
	}
	q.Names, q.Holders, q.Ahead = []string{e.Name}, holders(e.Holders), e.Ahead
	for i, h := range e.Holders {
		if h.Lost > 0 {
			until := now(l.reporter.clock).Add(h.Lost)
			q.Holders[i].Lost = &until
		}
	}
	l.display.set(q)
	if l.reporter.events != nil {
		place := e.Ahead + 1
		l.report(event{Event: "waiting", Place: &place, Holders: q.Holders}, "")
	}
}

// refused says that the server refuses to continue the session, or that it continues the session after that.
func (l *locker) refused(e lock.SessionRefused) {
	resume := l.display.pause()
	defer resume()
	if e.Err == nil {
		l.report(event{Event: "session_accepted"}, "the server continues the session")

		return
	}
	l.report(event{Event: "session_refused", Cause: e.Err.Error()}, e.Err.Error()+": trying again")
}

func (l *locker) released(e lock.Released) {
	l.metered.released()
	done := event{Event: "released"}
	if e.Err == nil {
		l.say("the lock is released")
		l.report(done, l.verbosely("released %s", cli.Quoted(l.names)))

		return
	}
	done.Cause = e.Err.Error()
	text := ""
	if !l.endangered { // otherwise Danger has said that the server does not answer, or refuses
		text = fmt.Sprintf("the lock may stay locked for up to %v, because the server did not confirm its release: %v",
			l.Timeout, e.Err)
	}
	l.report(done, text)
}

// holders returns the holders as they describe themselves.
func holders(all []lock.Holder) []look.Holder {
	list := make([]look.Holder, 0, len(all))
	for _, h := range all {
		list = append(list, look.NewHolder(h.Session, h.Token, h.Data))
	}

	return list
}

func (l *locker) report(e event, text string) { l.reporter.report(e, text) }

// verbosely returns the text with --verbose, and otherwise nothing.
func (l *locker) verbosely(format string, args ...any) string {
	if !l.env.Verbose {
		return ""
	}

	return fmt.Sprintf(format, args...)
}
