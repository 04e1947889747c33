package main

import (
	"context"
	"time"

	"tenure/internal/clock"
	"tenure/lock"
)

// show holds the lock and prints events until ctx ends.
func (l *locker) show(ctx context.Context) error {
	client, err := l.Open(ctx, l.monitor)
	if err == nil {
		err = lock.Elect(ctx, client, l.Path, l.semaphore, l.work, l.options()...)
		client.Close(ctx)
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	l.say("exiting")

	return nil
}

// work prints lines that show that the lock is held.
func (l *locker) work(ctx context.Context, _ *lock.Held) error {
	l.say("starting work")
	for clock.Pause(ctx, clock.Go(), time.Second) {
		l.say("work is in progress...")
	}
	l.say("suspending work")

	return nil
}
