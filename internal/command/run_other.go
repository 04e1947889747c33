//go:build !unix

package command

import (
	"context"
	"errors"
	"syscall"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/cli"
)

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
