//go:build !unix

package command

import (
	"context"
	"errors"
	"syscall"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/cli"
)

// Run has no process groups here, and so no way to stop COMMAND for certain: it does not start it.
func (c *Command) Run(context.Context, coordination.Lease) error {
	return &cli.ExitError{Code: ExitUnusable, Err: errors.New("this system has no process groups: COMMAND cannot run")}
}

func signalNum(name string) syscall.Signal {
	if name == "SIGTERM" {
		return syscall.SIGTERM
	}

	return 0
}
