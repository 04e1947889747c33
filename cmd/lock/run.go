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

	var ended bool
	var result error
	err = lock.Do(ctx, client, l.Path, l.semaphore, func(ctx context.Context, held *lock.Held) error {
		ended = true
		l.command.Env = command.Environment(held.Lease(), held.Token(), l.Path, l.semaphore)
		result = l.command.Run(ctx, held.Lease())

		return result
	}, l.options()...)
	if ended {
		return result
	}

	return l.unless(ctx, err)
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
