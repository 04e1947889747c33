//go:build unix

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"golang.org/x/sys/unix"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/term"
)

const (
	// look is the pause between looks at whether a group is empty, of which the system gives no sign.
	look = 10 * time.Millisecond

	// killLimit bounds the wait for a group that was killed: its processes are gone within moments, unless they belong
	// to another user, or those whose children they are do not collect the dead.
	killLimit = time.Second
)

// Run starts COMMAND under the lease and returns when it has ended. The result is nil if it has succeeded, else a
// [*cli.ExitError] with its exit code and no text: its own, or 128+n if signal n has ended it. If it could not be
// started, the ExitError says why. If ctx has ended before that, the cause of it is the error.
//
// When ctx ends, COMMAND is stopped: its group gets the signal that has ended ctx ([cli.Interrupt]), else c.Signal; and
// KILL when c.Grace is over, when the lease has ended, or when this process gets another signal to end. If the lease
// was lost, before that or meanwhile, the exit code is then 123.
//
// From then on this process ignores SIGTSTP. Several goroutines may each have a Run under way, if at most one of them
// has the terminal as stdin.
func (c *Command) Run(ctx context.Context, lease coordination.Lease) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// The signal by which COMMAND dies with this process is sent when the thread that started COMMAND ends: this one
	// does not, while a goroutine is locked to it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g, err := c.start(lease)
	if err != nil {
		return err
	}
	defer g.terminal.takeBack()

	select {
	case <-g.ended:
		return g.exit()
	case <-ctx.Done():
	}
	cause := context.Cause(ctx)
	c.stop(g, lease, cause)
	if errors.Is(cause, term.ErrLost) || lease.Context().Err() != nil {
		return &cli.ExitError{Code: ExitLost}
	}

	return g.exit()
}

// start starts COMMAND. The error is a *cli.ExitError.
func (c *Command) start(lease coordination.Lease) (*group, error) {
	cmd := &exec.Cmd{
		Path: c.Path, Args: c.Argv, Env: append(os.Environ(), c.Env...),
		Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr,
	}
	if session, ok := lease.Session().(interface{ Inherit(cmd *exec.Cmd) }); ok {
		session.Inherit(cmd) // its lifeline
	}
	lifelines := cmd.ExtraFiles
	cmd.ExtraFiles = nil // they would take the place of what the user hands on to COMMAND as descriptor 3 and up
	g := &group{cmd: cmd, terminal: terminalOf(c.Stdin), ended: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithThread(cmd.SysProcAttr)
	if g.terminal != nil {
		cmd.SysProcAttr.Foreground, cmd.SysProcAttr.Ctty = true, g.terminal.fd
	}

	signal.Ignore(syscall.SIGTSTP) // COMMAND inherits that; and this process must not stand still while COMMAND runs
	handOn(lifelines, true)
	err := cmd.Start()
	handOn(lifelines, false)
	if err != nil {
		g.terminal.takeBack() // the child had it
		if _, missing := os.Stat(c.Path); errors.Is(missing, os.ErrNotExist) {
			return nil, notFound(c.Path)
		}

		return nil, unusable(c.Path, err)
	}
	g.terminal.lent()
	go func() { // Run waits for ended
		g.err = cmd.Wait()
		close(g.ended)
	}()

	return g, nil
}

// handOn says whether a process that is started now inherits the files, each as the descriptor that it is here.
func handOn(files []*os.File, on bool) {
	flags := unix.FD_CLOEXEC
	if on {
		flags = 0
	}
	for _, file := range files {
		_, _ = unix.FcntlInt(file.Fd(), unix.F_SETFD, flags) // it fails for what is no descriptor
	}
}

// stop ends the group and returns when COMMAND has ended.
func (c *Command) stop(g *group, lease coordination.Lease, cause error) {
	sig := c.Signal
	if interrupt, ok := errors.AsType[*cli.Interrupt](cause); ok {
		sig = interrupt.Signal
	}
	patience, cancel := context.WithTimeoutCause(lease.Context(), c.Grace,
		fmt.Errorf("it has not ended within %v after %v", c.Grace, unix.SignalName(sig)))
	defer cancel()
	patience, stop := signal.NotifyContext(patience, cli.Interrupts()...)
	defer stop()
	defer adopt()()

	c.signal(g, sig)
	c.signal(g, syscall.SIGCONT) // what is suspended hears no other
	if g.gone(patience) {
		return
	}
	c.Warn(fmt.Errorf("killing COMMAND: %w", context.Cause(patience)))
	c.signal(g, syscall.SIGKILL)
	<-g.ended
	dying, cancel := context.WithTimeout(context.WithoutCancel(patience), killLimit)
	defer cancel()
	g.gone(dying)
}

func (c *Command) signal(g *group, sig syscall.Signal) {
	if err := g.signal(sig); err != nil {
		c.Warn(fmt.Errorf("send %s to COMMAND: %w", unix.SignalName(sig), err))
	}
}

// A group is a COMMAND that was started, and what it has started in its process group.
type group struct {
	cmd      *exec.Cmd
	terminal *terminal     // nil: COMMAND is not in front of one
	ended    chan struct{} // closed when COMMAND has ended
	err      error         // of waiting for it, by then
}

// signal sends a signal to all of the group. That it is empty is no error.
func (g *group) signal(sig syscall.Signal) error {
	if err := syscall.Kill(-g.cmd.Process.Pid, sig); !errors.Is(err, syscall.ESRCH) {
		return err
	}

	return nil
}

// gone waits until nothing is left of the group; it reports false if ctx ends before that.
func (g *group) gone(ctx context.Context) bool {
	select {
	case <-g.ended:
	case <-ctx.Done():
		return false
	}
	for !g.empty() {
		if !clock.Pause(ctx, clock.Go(), look) {
			return false
		}
	}

	return true
}

// empty reports whether nothing is left of the group, after the end of COMMAND.
func (g *group) empty() bool {
	for { // the dead among those that have been adopted are still in it
		if pid, err := syscall.Wait4(-g.cmd.Process.Pid, nil, syscall.WNOHANG, nil); err != nil || pid == 0 {
			break
		}
	}

	return errors.Is(syscall.Kill(-g.cmd.Process.Pid, 0), syscall.ESRCH)
}

// exit returns how COMMAND has ended, as Run does.
func (g *group) exit() error {
	if g.cmd.ProcessState == nil {
		return &cli.ExitError{Code: cli.ExitFailure, Err: fmt.Errorf("wait for COMMAND: %w", g.err)}
	}
	code := g.cmd.ProcessState.ExitCode()
	status := g.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() { //nolint:misspell // the standard library's word
		code = ExitSignal + int(status.Signal())
	}
	if code == 0 {
		return nil
	}

	return &cli.ExitError{Code: code}
}

func signalNum(name string) syscall.Signal { return unix.SignalNum(name) }
