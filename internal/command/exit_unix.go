//go:build unix

package command

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"tenure/internal/cli"
)

// exit returns the result of COMMAND as documented at Run.
func (r *run) exit() error {
	code := ExitCode(r.status)
	r.observe(Exited{Code: code, Lease: r.because})
	if r.because {
		code = ExitLost
	}
	if code == 0 {
		return nil
	}

	return &cli.ExitError{Code: code}
}

// ExitCode returns the exit code of a process that has ended, as a shell reports it.
func ExitCode(status syscall.WaitStatus) int {
	if status.Signaled() { //nolint:misspell // the spelling of the standard library
		return ExitSignal + int(status.Signal())
	}

	return status.ExitStatus()
}

func signalNum(name string) syscall.Signal { return unix.SignalNum(name) }

// SignalName returns the name of a signal, such as SIGTERM.
func SignalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}

	return fmt.Sprintf("signal %d", int(sig))
}
