//go:build unix

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"golang.org/x/sys/unix"

	"tenure/internal/cli"
	"tenure/internal/clientconfig"
	"tenure/internal/clock"
	"tenure/internal/disposition"
	"tenure/internal/guard"
	"tenure/internal/term"
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
// Several goroutines may call Run at the same time if at most one of them passes the terminal as stdin.
func (c *Command) Run(ctx context.Context, lease coordination.Lease) error {
	interrupts := make(chan syscall.Signal, 1)
	defer cli.TakeInterrupts(ctx, interrupts)()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	clk := clock.FromContext(lease.Context())
	r := &run{
		Command: c, ctx: ctx, lease: lease, session: clientconfig.FromContext(lease.Context()),
		clock: clk, timer: clk.NewTimer(), interrupts: interrupts, signals: make(chan os.Signal, 8),
	}
	defer r.timer.Stop()
	defer c.Stops.Own()()
	notify(r.signals)
	defer signal.Stop(r.signals)
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
	pid      int            // of COMMAND and its group
	stands   *guard.Watched // nil: COMMAND stands for no process
	terminal terminal
	job      job
	stdio    stdio
	deadline *pipe // TENURE_FD

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

	ended, collected, empty, gone bool // the events of the guard
	status                        syscall.WaitStatus
}

// start starts COMMAND. The error is a *cli.ExitError.
func (r *run) start() (err error) {
	fail := func(err error) error {
		return &cli.ExitError{Code: cli.ExitFailure, Err: fmt.Errorf("cannot run COMMAND: %w", err)}
	}
	if r.guard, err = r.guards.take(r.name()); err != nil {
		return fail(err)
	}
	defer func() {
		if err != nil {
			r.end()
		}
	}()
	if err := r.stdio.open(r.Stdin, r.Stdout, r.Stderr); err != nil {
		return fail(err)
	}
	if r.deadline, err = newPipe(); err != nil {
		return fail(err)
	}
	var lifelines exec.Cmd
	if session, ok := r.lease.Session().(interface{ Inherit(cmd *exec.Cmd) }); ok {
		session.Inherit(&lifelines)
	}
	r.terminal = openTerminal()
	r.terminal.lent = r.terminal.startsInForeground(r.stdio.in, r.stdio.out, r.stdio.err)
	program := guard.Program{
		Path: r.Path, Argv: r.Argv, Env: environment(r.Env), Ignored: disposition.Ignored(),
		Stands: r.Stands, Foreground: r.terminal.lent,
	}
	if r.Stands != 0 {
		if r.stands, err = guard.Watch(r.Stands); err != nil {
			return fail(fmt.Errorf("process %d: %w", r.Stands, err))
		}
	}
	r.announce()
	r.pid, err = r.guard.Run(program, guard.Files{
		Stdin: r.stdio.in, Stdout: r.stdio.out, Stderr: r.stdio.err, Pipe: r.deadline.reader, Lifelines: lifelines.ExtraFiles,
	}, r.guarded())
	r.stdio.started()
	r.deadline.started()
	if err != nil {
		if _, refused := errors.AsType[syscall.Errno](err); !refused {
			return fail(err)
		}
		if _, missing := os.Stat(r.Path); errors.Is(missing, os.ErrNotExist) {
			return notFound(r.Path, "check its path")
		}

		return unusable(r.Path, err)
	}
	r.observe(Started{r.pid})

	return nil
}

// environment returns the environment of COMMAND. The additions replace variables of this process, which may itself run
// under a lock.
func environment(additions []string) []string {
	replaced := map[string]bool{"TENURE_FD": true}
	for _, v := range additions {
		name, _, _ := strings.Cut(v, "=")
		replaced[name] = true
	}

	return append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")

		return replaced[name]
	}), additions...)
}

// guarded returns what the guard must know about the lease.
func (r *run) guarded() *guard.Lease {
	if r.session == nil {
		return nil
	}
	l := &guard.Lease{
		Deadline: r.system(r.told), Path: r.session.Node(), Session: r.session.SessionID(), Key: r.session.Key(),
		Timeout: r.session.Timeout(),
	}
	if r.DSN != embedded {
		l.DSN = r.DSN
	}

	return l
}

const embedded = "embedded" // the DSN of the embedded server

// system converts an instant of the lease's clock to one of the system's clock, or to an earlier one.
func (r *run) system(i clock.Instant) clock.Instant {
	if i == 0 {
		return 0
	}
	now := clock.System().Now() // read first: a delay makes the result earlier

	return now.Add(i.Sub(r.clock.Now()))
}

// announce tells COMMAND and the guard, if there is one, the deadline of the lease.
func (r *run) announce() {
	if r.session == nil {
		return
	}
	deadline := r.session.Deadline()
	if deadline == 0 || deadline == r.told {
		return
	}
	r.told = deadline
	if r.pid != 0 {
		r.guard.Extend(r.system(deadline))
	}
	r.deadline.say(r.clock.Time(deadline).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}

// watch returns when COMMAND has ended, or has been stopped.
func (r *run) watch() error {
	events, canceled, over := r.guard.Events(), r.ctx.Done(), r.lease.Context().Done()
	for {
		var renewed <-chan struct{}
		if l, ok := r.lease.(interface{ Renewed() <-chan struct{} }); ok && !r.lost {
			renewed = l.Renewed() // before the deadline is read, so that no renewal is missed
		}
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
		case sig := <-r.interrupts:
			r.interrupt(sig)
		case sig := <-r.signals:
			r.signalled(sig.(syscall.Signal))
		case err := <-r.aside():
			r.steppedAside(err)
		case <-renewed:
		case <-r.timer.C():
		}
	}
}

// checkLease compares the deadline of the lease with the clock.
func (r *run) checkLease() {
	if r.lost || r.ended && !r.stopping {
		return
	}
	if r.lease.Context().Err() != nil {
		r.lost, r.stopping, r.because = true, true, true
		cause := context.Cause(r.lease.Context())
		r.deadline.close()
		r.observe(Lost{cause})
		r.kill(cause, true)

		return
	}
	if r.session == nil {
		return
	}
	r.announce()
	deadline := r.session.Deadline()
	if deadline == 0 { // the context of the lease ends now
		return
	}
	left := deadline.Sub(r.clock.Now())
	switch {
	case r.clock.Now() >= guard.KillAt(deadline, r.session.Timeout()):
		cause := errors.New("the lease ends")
		if r.asked != 0 {
			cause = fmt.Errorf("it did not end within %v of %s", r.Grace, SignalName(r.asked))
		}
		r.stopping, r.because = true, true
		r.kill(cause, true)
	case left <= r.Grace && !r.danger:
		r.danger = true
		r.deadline.say("danger")
		r.observe(Danger{left})
		r.because = true
		r.stop(r.Signal, errors.New("the lease is in danger"))
	case left > r.Grace && r.danger:
		r.danger = false
		r.observe(Safe{left})
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
	if r.giveUp != 0 && now >= r.giveUp && (r.all || !r.collected) {
		r.giveUp = 0
		r.guard.Destroy()
	}
}

// over reports whether there is nothing left to wait for.
func (r *run) over() bool {
	switch {
	case !r.collected:
		return false
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
	if s := r.job.suspended; s != nil && s.stepped && !s.canceled {
		sooner(s.limit)
	}
	if r.all && !r.gone {
		sooner(now.Add(look))
	}
	if r.session != nil && !r.lost && !r.all {
		if deadline := r.session.Deadline(); deadline != 0 {
			sooner(guard.KillAt(deadline, r.session.Timeout()))
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
		r.terminal.close()
		r.guard.Reap()
	case guard.Reaped:
		r.status, r.collected = e.Status, true
	case guard.Empty:
		r.empty = true
	case guard.Gone:
		r.gone = true
		if !r.stopping && !r.all { // the guard has acted on its own: the deadline has passed
			r.stopping, r.because, r.all = true, true, true
		}
	}
}

// cancel stops COMMAND because ctx has ended.
func (r *run) cancel(cause error) {
	sig := r.Signal
	if interrupt, ok := errors.AsType[*cli.Interrupt](cause); ok {
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
		r.cancelSuspension()
		r.observe(Killing{cause})
		r.send(syscall.SIGKILL)
		if r.stands != nil {
			_ = r.stands.Signal(syscall.SIGKILL) // it may have ended
		}
		r.giveUp = r.clock.Now().Add(killLimit)
	}
	if all && !r.all {
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

// end waits for the end of the guard and closes what COMMAND no longer needs.
func (r *run) end() {
	r.terminal.close()
	r.endSuspension()
	if r.deadline != nil {
		r.deadline.close()
	}
	if r.stands != nil {
		r.stands.Close()
	}
	r.guard.Close()
	guard.LeaveAlone()
	r.stdio.close()
}

// exit returns the result of COMMAND as documented at Run.
func (r *run) exit() error {
	code := r.status.ExitStatus()
	if r.status.Signaled() { //nolint:misspell // the spelling of the standard library
		code = ExitSignal + int(r.status.Signal())
	}
	r.observe(Exited{code})
	if r.because {
		code = ExitLost
	}
	if code == 0 {
		return nil
	}

	return &cli.ExitError{Code: code}
}

func signalNum(name string) syscall.Signal { return unix.SignalNum(name) }

// SignalName returns the name of a signal, such as SIGTERM.
func SignalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}

	return fmt.Sprintf("signal %d", int(sig))
}
