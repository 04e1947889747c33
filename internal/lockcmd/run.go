package lockcmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/command"
	"tenure/lock"
)

// An outcome is the result of one attempt to run COMMAND under the lock.
type outcome struct {
	ran bool  // COMMAND has run, or could not be started
	err error // as run returns it
}

// run runs COMMAND under the lock, again and again if --restart says so, and returns its result.
func (l *locker) run(ctx context.Context) error {
	postponeCollection()
	l.command.Prepare()
	defer l.command.Close()
	client, err := l.connect(ctx)
	if err != nil {
		return l.unless(ctx, err)
	}
	defer client.Close(ctx)
	l.command.Stops = client.Stops

	policy := newRestarts(l.restart, l.backoff)
	for {
		began := l.clock.Now()
		result := l.attempt(ctx, client)
		if !result.ran {
			return l.unless(ctx, result.err)
		}
		pause, again := policy.after(result, l.clock.Now().Sub(began))
		if !again || ctx.Err() != nil {
			return result.err
		}
		l.report(event{Event: "restarted", After: seconds(pause)},
			fmt.Sprintf("%s: queueing again in %v", l.ending(result), pause.Round(time.Millisecond)))
		if !clock.Pause(ctx, l.clock, pause) {
			return result.err
		}
		l.began = l.clock.Now()
	}
}

// ending says how COMMAND ended.
func (l *locker) ending(result outcome) string {
	exit, failed := errors.AsType[*cli.ExitError](result.err)
	switch {
	case !failed:
		return "COMMAND has ended"
	case exit.Code == command.ExitLost:
		return "COMMAND was stopped because the lock was lost"
	}

	return fmt.Sprintf("COMMAND has ended with exit code %d", exit.Code)
}

// attempt waits for the lock, runs COMMAND once and releases the lock.
func (l *locker) attempt(ctx context.Context, client *cli.Client) (result outcome) {
	l.command.Prepare()
	skip, err := l.done(ctx, client)
	if skip || err != nil {
		return outcome{err: err}
	}
	held, err := l.acquire(ctx, client)
	if err != nil {
		return outcome{err: err}
	}
	f := l.follow(held)
	defer func() { // also if COMMAND has not run
		if result.ran {
			l.keep(ctx, f)
		}
		f.stop()
		_ = held.Release(context.WithoutCancel(ctx)) // Released or Lost has reported it
	}()

	if l.once != "" {
		done, found, err := recordOf(held.Session(), l.names[0]).find(ctx, l.once)
		switch {
		case err != nil:
			return outcome{err: err}
		case found:
			l.skip(done)

			return outcome{}
		}
	}
	l.notifier.ready()
	result = l.under(ctx, held)
	if l.once != "" && result.err == nil {
		result.err = l.record(ctx, held)
	}

	return result
}

// acquire waits for the lock.
func (l *locker) acquire(ctx context.Context, client *cli.Client) (*lock.Held, error) {
	held, err := l.nested(ctx, client)
	if held != nil || err != nil {
		return held, err
	}
	held, err = lock.Acquire(ctx, client, l.Path, l.names[0], l.options(l.limitWait()...)...)

	return held, l.busy(err)
}

// limitWait returns the option for what is left of --wait.
func (l *locker) limitWait() []lock.Option {
	switch {
	case l.wait < 0:
		return nil
	case l.wait == 0:
		return []lock.Option{lock.WithWait(0)}
	}

	return []lock.Option{lock.WithWait(l.waitLeft())}
}

// waitLeft returns what is left of --wait, and at least a moment.
func (l *locker) waitLeft() time.Duration {
	return max(time.Millisecond, l.wait-l.clock.Now().Sub(l.began))
}

// busy returns the error for a lock that was not acquired.
func (l *locker) busy(err error) error {
	busy, ok := errors.AsType[*lock.BusyError](err)
	if !ok {
		return err
	}
	if l.quiet && l.wait == 0 && busy.Err == nil { // as flock -n: a job that runs already is not a failure
		return &cli.ExitError{Code: l.conflictCode}
	}
	text := fmt.Sprintf("%s is taken", cli.Quoted(l.names))
	if l.wait > 0 {
		text = fmt.Sprintf("%s was not acquired within %v", cli.Quoted(l.names), l.wait)
	}
	if len(busy.Holders) > 0 {
		q := queue{Names: []string{busy.Name}, Holders: holders(busy.Holders), Ahead: -1}
		text += ": " + q.holding(now(l.clock))
	} else if busy.Err != nil {
		text += ": " + busy.Err.Error()
	}

	return &cli.ExitError{Code: l.conflictCode, Err: errors.New(text)}
}

// unless returns err, or that lock was interrupted before it ran COMMAND.
func (l *locker) unless(ctx context.Context, err error) error {
	interrupt, ok := errors.AsType[*cli.Interrupt](context.Cause(ctx))
	if !ok || err == nil {
		return err
	}

	return &cli.ExitError{
		Code: command.ExitSignal + int(interrupt.Signal),
		Err:  fmt.Errorf("%w: COMMAND has not run", interrupt),
	}
}

// keep keeps the lock for the rest of --min-hold. An interrupt ends that.
func (l *locker) keep(ctx context.Context, f *follower) {
	until := f.granted.Add(l.minHold)
	left := func() time.Duration { return until.Sub(now(l.clock)) }
	if left() <= 0 || !f.held.Valid() || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(f.held.Context(), cancel)()
	f.done(ctx, until)
	clock.Pause(ctx, l.clock, left())
}
