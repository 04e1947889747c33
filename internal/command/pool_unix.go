//go:build unix

package command

import (
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"tenure/internal/cli"
	"tenure/internal/guard"
)

// restLimit is the time that the descendants of a pooled COMMAND have to end after COMMAND has ended by itself. It is
// long enough for a filter that still writes what COMMAND has printed, as in "cmd > >(tee log)".
const restLimit = time.Second

// errKill is the cause of Killing after Command.Kill was closed.
var errKill = errors.New("it must stop immediately")

// takeProcess makes this process serve COMMAND: COMMAND gets its signals and its terminal. It returns the function that
// undoes that. The terminal is opened later.
func (r *run) takeProcess(interrupts chan syscall.Signal) (release func()) {
	r.interrupts = interrupts
	releaseInterrupts := cli.TakeInterrupts(r.ctx, interrupts)
	giveBack := r.Stops.Own()
	notify(r.signals)

	return func() {
		signal.Stop(r.signals)
		giveBack()
		releaseInterrupts()
	}
}

// joinBarrier connects the guard of a pooled COMMAND with those of the other COMMANDs of the session, if the guards
// have to end the session.
func (r *run) joinBarrier(l *guard.Lease) (err error) {
	if !r.Pooled || l == nil || l.DSN == "" {
		return nil
	}
	r.barrier, err = guard.JoinBarrier(fmt.Sprintf("%s\x00%d\x00%x", l.Path, l.Session, l.Key))

	return err
}

// killNow kills COMMAND because Command.Kill was closed.
func (r *run) killNow() {
	if r.pid == 0 || r.killing {
		return
	}
	r.stopping = true
	r.kill(errKill, r.because)
}

// rest waits for the descendants of a pooled COMMAND, which has ended.
func (r *run) rest() {
	if r.Pooled {
		r.restUntil = r.clock.Now().Add(restLimit)
		r.guard.Rest()
	}
}

// pooledOver is over for a pooled COMMAND, which has been collected.
func (r *run) pooledOver() bool {
	switch {
	case r.gone:
		return true
	case r.all:
	case r.status.Signal() == syscall.SIGKILL, // COMMAND could not stop what it has started
		r.stopping && r.empty,
		r.clock.Now() >= r.restUntil:
		r.killAll()
	}

	return false
}

// pooledStopped decides what follows the stop of a pooled COMMAND.
func (r *run) pooledStopped() {
	if r.stopping {
		r.resumeCommand() // it has to end, not to stop
	} else {
		r.reportStop()
	}
}
