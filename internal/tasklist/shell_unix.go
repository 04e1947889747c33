//go:build unix

package tasklist

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"tenure/internal/guard"
)

const (
	shell      = "/bin/sh"
	signalBase = 128 // plus the number of the signal that has ended a program, as a shell reports it
)

// runShell runs a command line and returns when it has ended and its output is closed. It returns an error if the exit
// code is not 0. When ctx ends, it kills the process group. It starts the shell with package guard, which collects all
// other children of this process.
func runShell(ctx context.Context, line string, stdout, stderr io.Writer) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	var readers sync.WaitGroup
	var reading, writing []*os.File
	closeAll := func(files []*os.File) {
		for _, f := range files {
			_ = f.Close()
		}
	}
	defer func() { // when ctx has ended, a process that has left the group may still have the pipes
		closeAll(reading)
		readers.Wait()
	}()
	for range 2 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(writing)

			return err
		}
		reading, writing = append(reading, r), append(writing, w)
	}
	pid, err := guard.StartProcess(shell, []string{"sh", "-c", line}, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{null.Fd(), writing[0].Fd(), writing[1].Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	closeAll(writing)
	if err != nil {
		return fmt.Errorf("%s: %w", shell, err)
	}
	for i, to := range []io.Writer{stdout, stderr} {
		readers.Go(func() { _, _ = io.Copy(to, reading[i]) }) // ends with the pipe, or with closeAll
	}
	collected, ended := make(chan struct{}), make(chan struct{})
	var status syscall.WaitStatus
	go func() { // ends with the shell
		defer close(ended)
		status = guard.WaitProcess(pid)
		close(collected)
		readers.Wait()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		select {
		case <-collected: // what it has started and left behind keeps running
		default:
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
		closeAll(reading)
		<-ended

		return context.Cause(ctx)
	}
	if code := exitCode(status); code != 0 {
		return fmt.Errorf("exit code %d", code)
	}

	return nil
}

func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() { //nolint:misspell // the spelling of the standard library
		return signalBase + int(status.Signal())
	}

	return status.ExitStatus()
}
