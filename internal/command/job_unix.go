//go:build unix

package command

import (
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/disposition"
	"tenure/internal/guard"
	"tenure/internal/tty"
)

const (
	// stopPatience is the time that COMMAND has to stop after SIGTSTP, before this process stops without it.
	stopPatience = 200 * time.Millisecond

	// maxRetries limits how often COMMAND continues after SIGTTIN or SIGTTOU although it has the foreground. Once may
	// be necessary, because the signal may precede the foreground.
	maxRetries = 3
)

// A job is the part of a run that is about stops: those of COMMAND, and those of this process.
type job struct {
	stopped   syscall.Signal // what has stopped COMMAND; 0: nothing
	reported  bool           // Suspended was reported
	resumes   int            // calls of guard.Resume without an answer: COMMAND is not stopped, whatever the guard says
	retries   int            // see maxRetries
	suspended *suspension    // this process is about to stop; may be nil
	awaken    bool           // the SIGCONT that has ended a stop of this process has not been received yet
}

// A suspension is the preparation for a stop of this process.
type suspension struct {
	aside    chan error    // receives the result of StepAside
	stepped  bool          // it has been received, and is in err
	err      error         //
	group    bool          // stop all processes of the own group
	limit    clock.Instant // when to stop even if COMMAND has not stopped
	canceled bool
}

// stops are the signals of job control. The default action of each stops a process.
var stops = []syscall.Signal{syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU}

// commandStopped decides what follows the stop of COMMAND.
func (r *run) commandStopped(sig syscall.Signal) {
	if r.job.resumes > 0 || r.ended || r.killing {
		return // out of date, or about to end
	}
	r.job.stopped = sig
	if r.Pooled {
		r.pooledStopped()

		return
	}
	wantsTerminal := needsTerminal(sig)
	switch {
	case wantsTerminal && r.offerTerminal():
		r.resumeCommand()
	case r.because && !wantsTerminal:
		r.resumeCommand() // it has to end, not to stop
	case r.because || sig == syscall.SIGSTOP:
		r.withdrawTerminal()
		r.reportStop()
	case !stoppable() && !wantsTerminal:
		r.resumeCommand()
	case !stoppable():
		r.terminal.wants = true
		r.reportStop()
	default:
		r.withdrawTerminal()
		r.terminal.wants = r.terminal.wants || wantsTerminal
		r.suspend(true, 0)
	}
}

// needsTerminal reports whether the system has sent the signal because a process needs the terminal.
func needsTerminal(sig syscall.Signal) bool { return sig == syscall.SIGTTIN || sig == syscall.SIGTTOU }

// stoppable reports whether a shell can continue this process after SIGTSTP.
func stoppable() bool { return !disposition.IsIgnored(syscall.SIGTSTP) && !tty.Orphaned() }

// offerTerminal lends the terminal to COMMAND, which has been stopped because it needs it. It reports whether COMMAND
// has it now.
func (r *run) offerTerminal() bool {
	if r.terminal.tty.Foreground() == r.pid {
		r.job.retries++

		return r.job.retries <= maxRetries
	}

	return r.terminal.lend(r.pid)
}

// withdrawTerminal takes the terminal back from a COMMAND that is stopped, so that Ctrl-C and Ctrl-Z reach this
// process.
func (r *run) withdrawTerminal() {
	r.terminal.wants = r.terminal.wants || r.terminal.lent
	r.terminal.takeBack()
}

func (r *run) reportStop() {
	r.job.reported = true
	r.observe(Suspended{r.job.stopped, r.pid, needsTerminal(r.job.stopped)})
}

// resumeCommand continues COMMAND.
func (r *run) resumeCommand() {
	r.job.resumes++
	r.guard.Resume()
	r.commandContinues()
}

func (r *run) commandContinues() {
	r.job.stopped = 0
	if r.job.reported {
		r.job.reported = false
		r.observe(Continued{})
	}
}

// commandContinued notices that COMMAND continues, maybe because of another process.
func (r *run) commandContinued() {
	if r.job.stopped == 0 {
		return
	}
	if r.terminal.wants {
		r.terminal.lend(r.pid)
	}
	r.commandContinues()
}

// terminalSignal handles a signal of job control.
func (r *run) terminalSignal(sig syscall.Signal) {
	if needsTerminal(sig) && r.terminal.forOthers() {
		r.terminal.wants = false
		r.job.awaken = true // forOthers has continued this process too

		return
	}
	if r.because || r.ended && needsTerminal(sig) || !stoppable() {
		return // if COMMAND has ended, nothing of this process waits for the terminal, but others may wait for the lease
	}
	if r.job.stopped == 0 && !r.ended {
		r.guard.Signal(syscall.SIGTSTP) // after the calls of Resume
	}
	r.suspend(false, stopPatience)
}

// answerLate continues the other processes of the own group if they were stopped by a signal that this process has not
// handled yet.
func (r *run) answerLate() {
	for len(r.signals) > 0 {
		if needsTerminal((<-r.signals).(syscall.Signal)) {
			r.terminal.forOthers()
		}
	}
}

// suspend begins to stop this process, and with it the rest of its group. COMMAND has this time to stop.
func (r *run) suspend(group bool, patience time.Duration) {
	limit := r.clock.Now().Add(patience)
	s := r.job.suspended
	switch {
	case s == nil:
		s = &suspension{aside: make(chan error, 1), limit: limit, group: group}
		r.job.suspended = s
		go func() { s.aside <- r.Stops.StepAside() }() // has a time limit of its own
	case s.canceled:
		s.canceled, s.limit, s.group = false, limit, group
	}
}

// aside returns the channel on which the preparation for a stop reports.
func (r *run) aside() <-chan error {
	if s := r.job.suspended; s != nil && !s.stepped {
		return s.aside
	}

	return nil
}

func (r *run) steppedAside(err error) { r.job.suspended.stepped, r.job.suspended.err = true, err }

// checkSuspension stops this process if everything is prepared. Signals that have arrived before come first.
func (r *run) checkSuspension() {
	s := r.job.suspended
	switch {
	case s == nil || !s.stepped:
		return
	case s.canceled:
		r.job.suspended = nil
		r.Stops.Resume()

		return
	case r.job.stopped == 0 && !r.ended && r.clock.Now() < s.limit:
		return
	case r.ended && !r.collected:
		return // until the guard has reported how COMMAND has ended, which may be all that is left to wait for
	case len(r.signals) > 0 || len(r.interrupts) > 0 || r.ctx.Err() != nil && !r.stopping:
		return
	}
	r.job.suspended = nil
	if needsTerminal(r.job.stopped) && r.terminal.lend(r.pid) { // "fg" has come first
		r.Stops.Resume()
		r.resumeCommand()

		return
	}
	r.withdrawTerminal()
	if s.group {
		cli.StopGroup()
	} else {
		cli.StopSelf()
	}
	signal.Notify(r.signals, syscall.SIGTSTP) // on some systems, StopGroup has ended that
	r.job.awaken = true
	r.Stops.Resume()
	if s.err != nil {
		r.observe(Problem{fmt.Errorf("the embedded server was not handed over when this process was suspended: %w", s.err)})
	}
	r.resumeJob()
}

// cancelSuspension keeps this process from stopping.
func (r *run) cancelSuspension() {
	if r.job.suspended != nil {
		r.job.suspended.canceled = true
	}
}

// endSuspension ends the preparation for a stop that does not come.
func (r *run) endSuspension() {
	s := r.job.suspended
	if s == nil {
		return
	}
	r.job.suspended = nil
	stops := r.Stops
	go func() { // ends when StepAside does
		if !s.stepped {
			<-s.aside //nolint:errcheck // it no longer matters
		}
		stops.Resume()
	}()
}

// continued handles SIGCONT.
func (r *run) continued() {
	if r.job.awaken { // checkSuspension has continued COMMAND, and it may have stopped again since
		r.job.awaken = false

		return
	}
	r.resumeJob()
}

// resumeJob continues COMMAND after this process was continued, by "fg", "bg" or kill.
func (r *run) resumeJob() {
	r.cancelSuspension()
	if r.terminal.wants {
		r.terminal.lend(r.pid)
	}
	r.terminal.shellTook(r.pid)
	r.resumeCommand()
}

// handleStop handles an event of the guard about stops.
func (r *run) handleStop(e guard.Event) {
	switch e.Kind {
	case guard.Stopped:
		r.commandStopped(e.Signal)
	case guard.Continued:
		r.commandContinued()
	case guard.Resumed:
		r.job.resumes--
	}
}
