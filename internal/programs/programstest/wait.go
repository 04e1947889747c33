// Package programstest waits for processes in tests.
package programstest

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

const (
	// limit is how long a process may take to end. It is far longer than any takes on a busy machine.
	limit = time.Minute

	// printing is how long a process may take to print its stacks.
	printing = 10 * time.Second
)

// Wait waits for the end of a process that should end now, and returns the result of exec.Cmd.Wait. If the process has
// not ended within a minute, Wait fails the test. It then sends SIGABRT, which lets a Go program print its stacks, and
// kills the process.
func Wait(tb testing.TB, cmd *exec.Cmd) error {
	tb.Helper()

	return wait(tb, cmd, limit)
}

func wait(tb testing.TB, cmd *exec.Cmd, limit time.Duration) error {
	tb.Helper()
	abort := time.AfterFunc(limit, func() {
		tb.Errorf("process %d, %q, has not ended within %v", cmd.Process.Pid, cmd.Args, limit)
		_ = cmd.Process.Signal(syscall.SIGABRT)
	})
	defer abort.Stop()
	kill := time.AfterFunc(limit+printing, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()

	return cmd.Wait()
}
