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
	// look is the pause between checks whether a group is empty. The system does not report when it becomes empty.
	look = 10 * time.Millisecond

	// killLimit is the time limit for a killed group to become empty. Its processes end immediately, unless they belong
	// to another user. They remain in the group until their parents have waited for them.
	killLimit = time.Second
)

// Run starts COMMAND under the lease and returns when COMMAND has ended. It returns nil if COMMAND succeeded. Otherwise
// it returns a [*cli.ExitError] without text: its code is that of COMMAND, or 128+n if signal n ended COMMAND. If
// COMMAND cannot be started, the ExitError says why. If ctx has ended before the start, Run returns its cause.
//
// When ctx ends, Run stops COMMAND. It sends the signal that ended ctx ([cli.Interrupt]), or otherwise c.Signal, to the
// group of COMMAND. It sends KILL when c.Grace has passed, when the lease has ended, or when another signal interrupts
// this process. The exit code is 123 if the lease is lost before COMMAND has ended.
//
// After a call of Run, this process ignores SIGTSTP. Several goroutines may call Run at the same time if at most one of
// them passes the terminal as stdin.
func (c *Command) Run(ctx context.Context, lease coordination.Lease) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// On Linux, COMMAND is killed when the thread that started it ends. This thread does not end while a goroutine is
	// locked to it.
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
		session.Inherit(cmd) // the lifeline
	}
	lifelines := cmd.ExtraFiles
	cmd.ExtraFiles = nil // they would replace the user's files, which COMMAND inherits as descriptors 3 and up
	g := &group{cmd: cmd, terminal: terminalOf(c.Stdin), ended: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithThread(cmd.SysProcAttr)
	if g.terminal != nil {
		cmd.SysProcAttr.Foreground, cmd.SysProcAttr.Ctty = true, g.terminal.fd
	}

	signal.Ignore(syscall.SIGTSTP) // COMMAND inherits this; this process must not be suspended while COMMAND runs
	handOn(lifelines, true)
	err := cmd.Start()
	handOn(lifelines, false)
	if err != nil {
		g.terminal.takeBack() // the child had it in the foreground
		if _, missing := os.Stat(c.Path); errors.Is(missing, os.ErrNotExist) {
			return nil, notFound(c.Path, "check its path")
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

// handOn sets whether processes that start now inherit the files. They inherit them under the same descriptors.
func handOn(files []*os.File, on bool) {
	flags := unix.FD_CLOEXEC
	if on {
		flags = 0
	}
	for _, file := range files {
		_, _ = unix.FcntlInt(file.Fd(), unix.F_SETFD, flags) // fails if the file is closed
	}
}

// stop ends the group and returns when COMMAND has ended.
func (c *Command) stop(g *group, lease coordination.Lease, cause error) {
	sig := c.Signal
	if interrupt, ok := errors.AsType[*cli.Interrupt](cause); ok {
		sig = interrupt.Signal
	}
	patience, cancel := context.WithTimeoutCause(lease.Context(), c.Grace,
		fmt.Errorf("it did not end within %v of %v", c.Grace, unix.SignalName(sig)))
	defer cancel()
	patience, stop := signal.NotifyContext(patience, cli.Interrupts()...)
	defer stop()
	defer adopt()()

	c.signal(g, sig)
	c.signal(g, syscall.SIGCONT) // a suspended process gets no other signal
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

// A group is a COMMAND that was started, and the other processes in its process group.
type group struct {
	cmd      *exec.Cmd
	terminal *terminal     // nil: COMMAND is not in the foreground of a terminal
	ended    chan struct{} // closed when COMMAND has ended
	err      error         // the result of waiting for COMMAND; set when ended is closed
}

// signal sends a signal to the whole group. An empty group is not an error.
func (g *group) signal(sig syscall.Signal) error {
	if err := syscall.Kill(-g.cmd.Process.Pid, sig); !errors.Is(err, syscall.ESRCH) {
		return err
	}

	return nil
}

// gone waits until the group is empty, and reports false if ctx ends before that.
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

// empty reports whether the group is empty, after the end of COMMAND.
func (g *group) empty() bool {
	for { // collect adopted processes that have ended, because they still count as members
		if pid, err := syscall.Wait4(-g.cmd.Process.Pid, nil, syscall.WNOHANG, nil); err != nil || pid == 0 {
			break
		}
	}

	return errors.Is(syscall.Kill(-g.cmd.Process.Pid, 0), syscall.ESRCH)
}

// exit returns the result of COMMAND as documented at Run.
func (g *group) exit() error {
	if g.cmd.ProcessState == nil {
		return &cli.ExitError{Code: cli.ExitFailure, Err: fmt.Errorf("wait for COMMAND: %w", g.err)}
	}
	code := g.cmd.ProcessState.ExitCode()
	status := g.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() { //nolint:misspell // the spelling of the standard library
		code = ExitSignal + int(status.Signal())
	}
	if code == 0 {
		return nil
	}

	return &cli.ExitError{Code: code}
}

func signalNum(name string) syscall.Signal { return unix.SignalNum(name) }
