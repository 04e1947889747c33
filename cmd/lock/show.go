package main

import (
	"context"
	"time"

	"tenure/internal/clock"
	"tenure/lock"
)

// show holds the lock until ctx ends, with visible work.
func (l *locker) show(ctx context.Context) error {
	client, err := l.Open(ctx, l.notice)
	if err == nil {
		err = lock.Run(ctx, client, l.Path, l.semaphore, l.work, l.options()...)
		client.Close(ctx)
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	l.say("exiting")

	return nil
}

// work is there to be seen.
func (l *locker) work(ctx context.Context) error {
	l.say("starting work")
	for clock.Pause(ctx, clock.Go(), time.Second) {
		l.say("work is in progress...")
	}
	l.say("suspending work")

	return nil
}
