package lockcmd

import (
	"context"
	"errors"
	"time"

	"tenure/internal/clock"
	"tenure/lock"
)

// show holds the lock and prints events until ctx ends. If the lock is lost, it waits for the lock again.
func (l *locker) show(ctx context.Context) error {
	err := l.elect(ctx)
	if err != nil && ctx.Err() == nil {
		return err
	}
	l.say("exiting")

	return nil
}

func (l *locker) elect(ctx context.Context) error {
	client, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close(ctx)
	for {
		held, err := l.acquire(ctx, client)
		if err != nil {
			return err
		}
		f := l.follow(held)
		work, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(held.Context(), cancel)
		l.work(work)
		stop()
		cancel()
		f.stop()
		if err := held.Release(context.WithoutCancel(ctx)); !errors.Is(err, lock.ErrLost) {
			return nil
		}
		l.began = l.clock.Now()
	}
}

// work prints lines that show that the lock is held.
func (l *locker) work(ctx context.Context) {
	l.say("starting work")
	for clock.Pause(ctx, clock.Go(), time.Second) {
		l.say("work is in progress...")
	}
	l.say("suspending work")
}
