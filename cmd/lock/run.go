package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/command"
	"tenure/lock"
)

// moment is how long a wait is that nobody needs to hear of.
const moment = time.Second

// run runs COMMAND under the lock, once: when it has been started, nothing begins anew. The result is COMMAND's.
func (l *locker) run(ctx context.Context) error {
	client, err := l.Open(ctx, l.notice)
	if err != nil {
		return l.unless(ctx, err)
	}
	defer client.Close(ctx)

	attempt, end := context.WithCancel(ctx)
	defer end()
	granted := l.await(ctx)
	defer granted()
	var ended bool
	var result error
	err = lock.Run(attempt, client, l.Path, l.semaphore, func(ctx context.Context) error {
		granted()
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

// under runs COMMAND in the context of work. It reports whether it has, or has tried to.
func (l *locker) under(ctx context.Context) (ended bool, result error) {
	lease := lock.Lease(ctx).(command.Lease) // ours are
	env, err := command.Environment(ctx, lease, l.Path, l.semaphore)
	if err != nil {
		return false, err
	}
	l.command.Env = env
	err = l.command.Run(ctx, lease)
	_, tried := errors.AsType[*cli.ExitError](err)

	return tried || err == nil, err
}

// unless returns err, unless lock was interrupted before COMMAND has run.
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

// await says that the lock is waited for, if that takes longer than a moment, until granted is called.
func (l *locker) await(ctx context.Context) (granted func()) {
	ctx, cancel := context.WithCancel(ctx)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if clock.Pause(ctx, clock.Go(), moment) {
			l.complain(fmt.Errorf("waiting for %q", l.semaphore))
		}
	})

	return func() {
		cancel()
		waiting.Wait()
	}
}
