package main

import (
	"context"
	"errors"
	"fmt"

	"tenure/internal/cli"
	"tenure/internal/command"
	"tenure/lock"
)

// run runs COMMAND once under the lock and returns its result. It does not wait for the lock again after it has started
// COMMAND, even if the lock is lost.
func (l *locker) run(ctx context.Context) error {
	client, err := l.Open(ctx, l.monitor)
	if err != nil {
		return l.unless(ctx, err)
	}
	defer client.Close(ctx)

	attempt, end := context.WithCancel(ctx)
	defer end()
	var ended bool
	var result error
	err = lock.Run(attempt, client, l.Path, l.semaphore, func(ctx context.Context) error {
		ended, result = l.under(ctx)
		if ended {
			end()
		}

		return result
	}, l.options()...)
	if ended {
		return result
	}

	return l.unless(ctx, err)
}

// under runs COMMAND in the context of work. It reports whether it has run COMMAND, or tried to.
func (l *locker) under(ctx context.Context) (ended bool, result error) {
	token, err := lock.Token(ctx)
	if err != nil {
		return false, err
	}
	lease := lock.Lease(ctx)
	l.command.Env = command.Environment(lease, token, l.Path, l.semaphore)
	err = l.command.Run(ctx, lease)
	_, tried := errors.AsType[*cli.ExitError](err)

	return tried || err == nil, err
}

// unless returns err, or that lock was interrupted before it ran COMMAND.
func (l *locker) unless(ctx context.Context, err error) error {
	interrupt, ok := errors.AsType[*cli.Interrupt](context.Cause(ctx))
	if !ok {
		return err
	}

	return &cli.ExitError{
		Code: command.ExitSignal + int(interrupt.Signal),
		Err:  fmt.Errorf("%w: COMMAND has not run", interrupt),
	}
}
