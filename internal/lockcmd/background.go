//go:build unix

package lockcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"tenure/internal/cli"
	"tenure/internal/guard"
)

// holderVariable tells a background holder the number of the descriptor on which the process that started it waits for
// the grant.
const holderVariable = "TENURE_HOLDER_FD"

// granted is what a background holder writes when it has the lock.
const granted = "granted\n"

// background holds the lock until the process of --pid ends. It starts another process for that, and returns when that
// process has acquired the lock. If it does not, the exit code and the messages are those of that process.
func (l *locker) background(ctx context.Context) error {
	if fd, holder := l.env.LookupEnv(holderVariable); holder {
		return l.holdFor(ctx, fd)
	}
	answer, end, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start a process in the background: %w", err)
	}
	defer answer.Close()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start a process in the background: %w", err)
	}
	_, stderr := l.env.Inherited()
	holder := &exec.Cmd{
		Path: self, Args: os.Args, Stderr: stderr, ExtraFiles: []*os.File{end},
		Env:         append(os.Environ(), holderVariable+"="+strconv.Itoa(firstExtraFile)),
		SysProcAttr: &syscall.SysProcAttr{Setsid: true}, // a signal from the terminal is meant for PID
	}
	err = holder.Start()
	end.Close()
	if err != nil {
		return fmt.Errorf("start a process in the background: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = holder.Process.Signal(syscall.SIGTERM) })()
	line, _ := bufio.NewReader(answer).ReadString('\n') // its end is reported by Wait
	if line == granted {
		return holder.Process.Release()
	}
	err = holder.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return l.unless(ctx, &cli.ExitError{Code: exit.ExitCode()})
	}

	return l.unless(ctx, errors.Join(errors.New("the process in the background has ended"), err))
}

// firstExtraFile is the descriptor of the first of exec.Cmd's ExtraFiles.
const firstExtraFile = 3

// releaseSignal asks a background holder to release the lock before its process has ended.
const releaseSignal = guard.Release

// holdFor is the background holder. A process that stands for the one of --pid is in the place of COMMAND.
func (l *locker) holdFor(ctx context.Context, descriptor string) error {
	fd, err := strconv.Atoi(descriptor)
	if err != nil {
		return fmt.Errorf("%s=%q was not set by lock: unset the variable", holderVariable, descriptor)
	}
	syscall.CloseOnExec(fd)
	answer := os.NewFile(uintptr(fd), "grant")
	defer answer.Close()
	l.onGrant = func() {
		_, _ = io.WriteString(answer, granted)
		_ = answer.Close()
	}
	if err := syscall.Kill(l.pid, 0); err != nil {
		return fmt.Errorf("%s=%d: %w", cli.Setting(l.cmd, "pid"), l.pid, err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	l.command.Path, l.command.Argv, l.command.Stands = self, guard.Watcher(l.pid), l.pid
	unregister, err := l.register()
	if err != nil {
		return err
	}
	defer unregister()

	return l.run(ctx)
}

var errNoHolder = errors.New("no lock --pid of this user holds it on this machine")

// releaseHolder ends the background holders of the locks, and waits until they have released them.
func (l *locker) releaseHolder(ctx context.Context) error {
	found := false
	for _, name := range l.names {
		holders, err := l.registered(name)
		if err != nil {
			return err
		}
		for _, h := range holders {
			found = true
			if err := h.end(ctx); err != nil {
				return fmt.Errorf("release %q: %w", name, err)
			}
		}
	}
	if !found {
		return fmt.Errorf("%s: %w", quoted(l.names), errNoHolder)
	}

	return nil
}
