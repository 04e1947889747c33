//go:build unix

package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"tenure/internal/cli"
	"tenure/internal/guard"
	"tenure/internal/term"
)

// cancel stops COMMAND because ctx has ended.
func (r *run) cancel(cause error) {
	sig := r.Signal
	if interrupt, ok := errors.AsType[*cli.Interrupt](cause); ok && !r.Pooled {
		sig = interrupt.Signal
	}
	if errors.Is(cause, term.ErrLost) {
		r.because = true
		if r.session == nil && !r.stopping {
			r.killAfter(r.Grace, sig)
		}
	}
	r.stop(sig, cause)
}

// interrupt handles a signal that asks this process to end, after the one that has ended ctx.
func (r *run) interrupt(sig syscall.Signal) {
	if !r.stopping {
		r.stop(sig, &cli.Interrupt{Signal: sig})

		return
	}
	r.kill(fmt.Errorf("%v signal received", sig), r.because)
}

func (r *run) signalled(sig syscall.Signal) {
	switch {
	case sig == syscall.SIGCONT:
		r.continued()
	case slices.Contains(stops, sig):
		r.terminalSignal(sig)
	case slices.Contains(passed, sig):
		r.send(sig)
	default:
		r.interrupt(sig)
	}
}

// stop asks COMMAND to stop, unless it was asked before.
func (r *run) stop(sig syscall.Signal, cause error) {
	if r.stopping || r.ended {
		return
	}
	r.stopping, r.asked = true, sig
	r.stdio.hurry()
	r.observe(Stopping{sig, cause})
	switch {
	case r.because:
	case r.StopTimeout > 0:
		r.killAfter(r.StopTimeout, sig)
	case errors.Is(cause, ErrTimeIsUp):
		r.killAfter(r.Grace, sig)
	}
	r.send(sig)
	r.send(syscall.SIGCONT) // a suspended process gets no other signal
	r.cancelSuspension()
	r.resumeCommand() // again, so that the guard's reports about earlier stops are out of date
}

func (r *run) killAfter(d time.Duration, sig syscall.Signal) {
	r.killAt = r.clock.Now().Add(d)
	r.late = fmt.Errorf("it did not end within %v of %s", d, SignalName(sig))
}

// kill kills the group of COMMAND, or all of its descendants.
func (r *run) kill(cause error, all bool) {
	if !r.killing {
		r.killing = true
		r.stdio.hurry()
		r.cancelSuspension()
		r.observe(Killing{cause})
		r.send(syscall.SIGKILL)
		if r.stands != nil {
			_ = r.stands.Signal(syscall.SIGKILL) // it may have ended
		}
		r.giveUp = r.clock.Now().Add(killLimit)
	}
	if (all || r.Pooled) && !r.all {
		r.killAll()
	}
}

// killAll kills all descendants of COMMAND.
func (r *run) killAll() {
	r.all = true
	r.guard.Kill()
	r.giveUp = r.clock.Now().Add(guardLimit)
}

// send sends a signal to the group of COMMAND. An empty group is not an error.
func (r *run) send(sig syscall.Signal) {
	if r.ended { // the guard knows whether the group still exists
		r.guard.Signal(sig)

		return
	}
	if err := syscall.Kill(-r.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		r.observe(Problem{fmt.Errorf("send %s to COMMAND: %w", SignalName(sig), err)})
	}
}

// orphaned kills all descendants of COMMAND after the guard has ended.
func (r *run) orphaned() error {
	ours := r.giveUp == 0 && r.killing // this process has killed the guard, which did not answer
	if !r.ended {
		_ = syscall.Kill(-r.pid, syscall.SIGKILL) // on Linux, COMMAND itself has been killed already
	}
	r.guard.Close() // only when the guard is gone does this process have its children
	limited, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), killLimit)
	defer cancel()
	guard.KillAdopted(limited)
	if limited.Err() == nil && !r.gone { // a guard that has seen the end of all descendants may have left the barrier
		r.barrier.Forgive()
	}
	switch {
	case r.because:
		return &cli.ExitError{Code: ExitLost}
	case ours:
		return &cli.ExitError{Code: ExitSignal + int(syscall.SIGKILL)}
	case r.collected:
		return r.exit()
	}

	return &cli.ExitError{Code: cli.ExitFailure, Err: fmt.Errorf(
		"COMMAND was killed, because its guard, pid %d, has ended: do not end it alone; end this process instead",
		r.guard.PID())}
}
