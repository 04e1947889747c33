//go:build !unix

package command

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/cli"
)

type spare struct{}

// Prepare does nothing: this system has no guards.
func (c *Command) Prepare() {}

// Close does nothing: this system has no guards.
func (c *Command) Close() {}

// Run does not start COMMAND: without process groups there is no reliable way to stop it.
func (c *Command) Run(context.Context, coordination.Lease) error {
	return &cli.ExitError{Code: ExitUnusable, Err: errors.New("cannot run COMMAND: this system has no process groups")}
}

func signalNum(name string) syscall.Signal {
	if name == "SIGTERM" {
		return syscall.SIGTERM
	}

	return 0
}

func SignalName(sig syscall.Signal) string { return fmt.Sprintf("signal %d", int(sig)) }
