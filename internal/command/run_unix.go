//go:build unix

package command

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clientconfig"
	"tenure/internal/clock"
	"tenure/internal/disposition"
	"tenure/internal/guard"
	"tenure/internal/watchman"
)

const (
	// look is the pause between looks at processes that are being killed.
	look = 5 * time.Millisecond

	// killLimit is the time limit for killed processes to end. They end immediately, unless they belong to another user.
	killLimit = time.Second

	// guardLimit is the time limit for the guard to report that all descendants of COMMAND have ended. A guard that is not
	// frozen needs a few milliseconds. Without the report, this process kills the guard and collects the descendants.
	guardLimit = 250 * time.Millisecond
)

// Run starts COMMAND under the lease and returns when COMMAND has ended. It returns nil if COMMAND succeeded. Otherwise
// it returns a [*cli.ExitError]: its code is that of COMMAND, or 128+n if signal n ended COMMAND. If COMMAND cannot be
// started, the ExitError says why. If ctx has ended before the start, Run returns its cause.
//
// When ctx ends, Run stops COMMAND. It sends the signal that ended ctx ([cli.Interrupt]), or otherwise c.Signal, to the
// group of COMMAND. It sends KILL when c.StopTimeout has passed, or when another signal interrupts this process.
//
// When only c.Grace is left of the lease, or when the cause of ctx wraps [term.ErrLost], the lease is in danger. Run
// then sends c.Signal. It kills all descendants of COMMAND so early that they have ended when the lease ends. A renewal
// postpones that. If the lease does not report its deadline, it kills them after c.Grace. The exit code is 123 if
// COMMAND was stopped because of the lease.
//
// Several goroutines may call Run at the same time, each for a Command of its own, if all of these are pooled.
func (c *Command) Run(ctx context.Context, lease coordination.Lease) error {
	clk := clock.FromContext(lease.Context())
	r := &run{
		Command: c, ctx: ctx, lease: lease, session: clientconfig.FromContext(lease.Context()),
		clock: clk, timer: clk.NewTimer(), signals: make(chan os.Signal, 8),
		problems: make(chan error, 8),
	}
	defer r.timer.Stop()
	if !c.Pooled {
		defer r.takeProcess(make(chan syscall.Signal, 1))()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	defer guard.Adopt()()

	if err := r.start(); err != nil {
		return err
	}
	err := r.watch()
	r.end()

	return err
}

// passed are the signals that COMMAND gets without being stopped.
var passed = []syscall.Signal{syscall.SIGALRM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH}

// notify asks for all signals that can be passed on, except those that cli.Main handles and those that this process was
// started to ignore.
func notify(signals chan<- os.Signal) {
	for sig := syscall.Signal(1); sig <= maxSignal; sig++ {
		switch sig {
		case syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM: // of package cli
		case syscall.SIGKILL, syscall.SIGSTOP: // cannot be caught
		case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE, syscall.SIGXFSZ: // do not ask this process to end
		default:
			if !disposition.IsIgnored(sig) {
				signal.Notify(signals, sig)
			}
		}
	}
}

// A run is one call of Run.
type run struct {
	*Command

	ctx     context.Context
	lease   coordination.Lease
	session clientconfig.Session // nil: the client of the lease does not say until when it is held
	clock   clock.Clock          // of the lease
	timer   clock.Timer

	interrupts <-chan syscall.Signal // those after the one that ended ctx
	signals    chan os.Signal        // other signals

	guard    *guard.Guard
	guarding bool              // the guard was asked to start COMMAND
	barrier  *guard.Barrier    // of a pooled COMMAND; may be nil
	pid      int               // of COMMAND and its group
	stands   *watchman.Watched // nil: COMMAND stands for no process
	terminal terminal
	job      job
	stdio    stdio
	states   states
	problems chan error // see problem
	deadline *pipe      // TENURE_FD

	told     clock.Instant // the deadline that the guard and COMMAND know
	danger   bool
	lost     bool           // the lease has ended
	stopping bool           // COMMAND is being stopped
	asked    syscall.Signal // the signal that has asked it to
	because  bool           // of the lease
	killAt   clock.Instant  // 0: never
	late     error          // why COMMAND is killed at killAt
	killing  bool           // KILL was sent to the group
	all      bool           // KILL was sent to all descendants
	giveUp   clock.Instant  // when to stop waiting for them; 0: not yet

	restUntil clock.Instant // of a pooled COMMAND that has ended: when to kill its descendants

	exited <-chan struct{} // closed when COMMAND has ended, as the system says; nil: unknown
	silent clock.Instant   // when to act because the guard does not report that; 0: never
	woken  bool            // the guard was continued because of that

	ended, collected, empty, gone bool // the events of the guard
	status                        syscall.WaitStatus
}

// watch returns when COMMAND has ended, or has been stopped.
func (r *run) watch() error {
	events, canceled, over, kill := r.guard.Events(), r.ctx.Done(), r.lease.Context().Done(), r.Kill
	for {
		renewed := r.renewed() // before the deadline is read, so that no renewal is missed
		r.checkLease()
		r.checkStop()
		if r.over() {
			return r.exit()
		}
		r.checkSuspension()
		r.setTimer()
		select {
		case e, ok := <-events:
			if !ok {
				return r.orphaned()
			}
			r.handle(e)
		case <-canceled:
			canceled = nil
			r.cancel(context.Cause(r.ctx))
		case <-over:
			over = nil
		case <-kill:
			kill = nil
			r.killNow()
		case <-r.exited:
			r.exited, r.silent = nil, r.clock.Now().Add(guardLimit)
		case sig := <-r.interrupts:
			r.interrupt(sig)
		case sig := <-r.signals:
			r.signalled(sig.(syscall.Signal))
		case err := <-r.problems:
			r.observe(Problem{err})
		case err := <-r.aside():
			r.steppedAside(err)
		case <-renewed:
		case <-r.timer.C():
		}
	}
}

// checkStop kills COMMAND if it has not stopped in time.
func (r *run) checkStop() {
	now := r.clock.Now()
	if r.killAt != 0 && now >= r.killAt {
		r.killAt = 0
		r.kill(r.late, r.because)
	}
	if r.all && !r.gone {
		r.guard.KillChildren() // the guard does this too, unless it is frozen
	}
	if r.silent != 0 && now >= r.silent {
		r.wakeGuard()
	}
	if r.giveUp != 0 && now >= r.giveUp && (r.all || !r.collected) {
		r.giveUp = 0
		r.guard.Destroy()
	}
}

// wakeGuard continues a guard that does not report the end of COMMAND, because it may have been stopped, and kills it
// if that does not help. Otherwise this process would keep the lease for a COMMAND that has ended.
func (r *run) wakeGuard() {
	r.silent = 0
	switch {
	case r.ended:
	case r.woken:
		r.guard.Destroy()
	default:
		r.woken, r.silent = true, r.clock.Now().Add(killLimit)
		r.guard.Continue()
	}
}

// over reports whether there is nothing left to wait for.
func (r *run) over() bool {
	switch {
	case !r.collected:
		return false
	case r.Pooled:
		return r.pooledOver()
	case r.all:
		return r.gone
	case r.status.Signal() == syscall.SIGKILL, // COMMAND could not stop what it has started
		r.because && r.empty: // the lease is or may be lost: nothing may keep running
		r.killAll()

		return false
	case !r.stopping:
		return true
	}

	return r.empty || r.giveUp != 0 && r.clock.Now() >= r.giveUp
}

// setTimer sets the timer to the next instant at which the checks have something to do.
func (r *run) setTimer() {
	now := r.clock.Now()
	var next clock.Instant
	sooner := func(i clock.Instant) {
		if i != 0 && (next == 0 || i < next) {
			next = i
		}
	}
	sooner(r.killAt)
	sooner(r.giveUp)
	sooner(r.silent)
	if !r.all && !r.gone {
		sooner(r.restUntil)
	}
	if s := r.job.suspended; s != nil && s.stepped && !s.canceled && !r.ended {
		sooner(s.limit)
	}
	if r.all && !r.gone {
		sooner(now.Add(look))
	}
	if r.session != nil && !r.lost && !r.all {
		if deadline := r.session.Deadline(); deadline != 0 {
			sooner(watchman.KillAt(deadline, r.session.Timeout()))
			if !r.danger {
				sooner(deadline.Add(-r.Grace))
			}
		}
	}
	if next == 0 {
		r.timer.Stop()
	} else {
		r.timer.Set(now, next)
	}
}

func (r *run) handle(e guard.Event) {
	switch e.Kind {
	case guard.Started:
	case guard.Stopped, guard.Continued, guard.Resumed:
		r.handleStop(e)
	case guard.Ended:
		r.ended = true
		r.terminal.reclaim()
		r.guard.Reap()
	case guard.Reaped:
		r.status, r.collected = e.Status, true
		r.rest()
	case guard.Empty:
		r.empty = true
	case guard.Gone:
		r.gone = true
		if e.Late { // the guard has acted on its own
			r.stopping, r.because, r.all = true, true, true
		}
	}
}

// end waits for the end of the guard and closes what COMMAND no longer needs.
func (r *run) end() {
	r.terminal.reclaim()
	r.endSuspension()
	if r.deadline != nil {
		r.deadline.close()
	}
	if r.stands != nil {
		r.stands.Close()
	}
	r.guard.Close()
	r.barrier.Leave()
	if !r.Pooled { // nothing that a pooled COMMAND has started may keep running
		guard.LeaveAlone()
	}
	r.states.close()
	if !r.stdio.close() {
		r.problem(errors.New("the last output of COMMAND was dropped, because its reader does not read"))
	}
	for len(r.problems) > 0 {
		r.observe(Problem{<-r.problems})
	}
	r.answerLate()
	r.terminal.close()
}

// problem reports a Problem from any goroutine.
func (r *run) problem(err error) {
	select {
	case r.problems <- err:
	default: // one of many
	}
}
