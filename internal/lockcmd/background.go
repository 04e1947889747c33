//go:build unix

package lockcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"tenure/internal/cli"
	"tenure/internal/command"
	"tenure/internal/guard"
	"tenure/internal/watchman"
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
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("start a process in the background: %w", err)
	}
	defer null.Close()
	holder, err := guard.StartProcess(self, os.Args, &syscall.ProcAttr{
		Env:   append(os.Environ(), holderVariable+"="+strconv.Itoa(answerFile)),
		Files: []uintptr{null.Fd(), null.Fd(), os.Stderr.Fd(), end.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true}, // a signal from the terminal is meant for PID
	})
	end.Close()
	if err != nil {
		return fmt.Errorf("start a process in the background: %w", err)
	}
	defer context.AfterFunc(ctx, func() { guard.SignalProcess(holder, syscall.SIGTERM) })()
	line, _ := bufio.NewReader(answer).ReadString('\n') // an error means that it has ended
	if line == granted {
		return nil
	}

	return l.unless(ctx, &cli.ExitError{Code: command.ExitCode(guard.WaitProcess(holder))})
}

// answerFile is the descriptor of the pipe in the background holder.
const answerFile = 3

// releaseSignal asks a background holder to release the lock before its process has ended.
const releaseSignal = watchman.Release

// holdFor is the background holder. A process that stands for the one of --pid is in the place of COMMAND.
func (l *locker) holdFor(ctx context.Context, descriptor string) error {
	fd, err := strconv.Atoi(descriptor)
	if err != nil {
		return fmt.Errorf("%s=%q was not set by lock: unset the variable", holderVariable, descriptor)
	}
	syscall.CloseOnExec(fd)
	answer := os.NewFile(uintptr(fd), "grant")
	defer answer.Close()
	ended := fmt.Errorf("process %d has ended, so it does not need the lock any more", l.pid)
	ctx, stopWatching := l.whileNeeded(ctx, ended)
	defer stopWatching()
	l.onGrant = func() {
		stopWatching()
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
	l.command.Path, l.command.Argv, l.command.Stands = self, watchman.Watcher(l.pid), l.pid
	unregister, err := l.register()
	if err != nil {
		return err
	}
	defer unregister()
	err = l.run(ctx)
	if err != nil && errors.Is(context.Cause(ctx), ended) {
		return ended
	}

	return err
}

// whileNeeded returns a context that ends with the cause when the process of --pid ends, until stop is called. When
// lock has the lock, the process is in the place of COMMAND, and its end is no fault.
func (l *locker) whileNeeded(ctx context.Context, cause error) (needed context.Context, stop func()) {
	needed, cancel := context.WithCancelCause(ctx)
	unwatched, unwatch := context.WithCancel(ctx)
	end := watchman.EndOf(l.pid) // nil blocks for ever
	go func() {
		select {
		case <-end:
			cancel(cause)
		case <-unwatched.Done():
		}
	}()

	return needed, unwatch
}

var errNoHolder = errors.New("no lock --pid of this user holds it on this machine: see who holds it with lock --status")

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
		return fmt.Errorf("%s: %w", cli.Quoted(l.names), errNoHolder)
	}

	return nil
}
