//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

const childEnded = syscall.SIGCHLD

// raise ends this process with a signal.
func raise(sig syscall.Signal) {
	if sig == syscall.SIGQUIT { // the runtime would print all stacks
		syscall.Exit(128 + int(sig)) //nolint:mnd // as a shell reports it
	}
	signal.Reset(sig)
	_ = syscall.Kill(os.Getpid(), sig)
}
