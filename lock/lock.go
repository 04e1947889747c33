package lock

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cenkalti/backoff/v5"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/limit"
	"tenure/internal/term"
)

// ErrLost is wrapped by the cause ([context.Cause]) of the end of work's context if the lock was lost: its session has
// ended, or could not be kept alive.
var ErrLost = term.ErrLost

// Lease returns the lease under which the work with this context runs. It returns nil if ctx is not, and does not
// derive from, a context that [Run] passed to work. Run releases the lease: the caller must not.
func Lease(ctx context.Context) coordination.Lease { return term.Lease(ctx) }

// Token returns the fencing token of the lock that the work with this context holds. Each holder's token is greater
// than those of all earlier holders. The first call may ask the server.
//
// Token returns an error if ctx is not, and does not derive from, a context that [Run] passed to work, if the lock is
// lost, or if ctx ends before the server has answered.
func Token(ctx context.Context) (uint64, error) { return term.Token(ctx) }

// Run calls work while it holds the lock, and returns what work returns. The lock is the ephemeral semaphore with this
// name on the coordination node at path, which Run creates if it is missing. Run waits for the lock until ctx ends.
//
// The context of work derives from ctx and also ends when the lock is lost. Run then waits for work to return, ignores
// its result, and starts over: it opens a new session, waits for the lock and calls work again. So work may run several
// times, but never concurrently, and its last run held the lock from beginning to end. Work can get at the lock with
// [Token] and [Lease]. With [WithGrace], its context ends some time before the lock can be granted to anyone else.
//
// If ctx ends while work runs, Run waits for work to return, releases the lock, so that the next waiter gets it
// immediately, and returns what work returned. If ctx ends at any other time, Run returns its cause ([context.Cause]).
//
// Run retries transient errors after a pause that grows to a few seconds: the server cannot be reached or is
// overloaded, or the session does not start. It returns permanent errors immediately: invalid arguments, missing
// rights, a path that is not a node, a persistent semaphore with this name. Use [errors.As] to get at the client's
// errors.
//
// If work panics, Run releases the lock and the panic propagates.
func Run(
	ctx context.Context, client coordination.Client, path, semaphore string,
	work func(ctx context.Context) error, opts ...Option,
) error {
	l := &locker{
		config:    config{observe: func(Event) {}, term: term.Config{Client: client, Path: path}},
		semaphore: semaphore,
		work:      work,
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&l.config)
		}
	}
	if err := l.check(ctx); err != nil {
		return fmt.Errorf("lock %q: %w", semaphore, err)
	}

	l.opener = term.NewOpener(l.term, l.noSession)
	if err := l.opener.Repeat(ctx, func() error { return l.once(ctx) }, l.retry); err != nil {
		return err
	}

	return l.result
}

// A locker is one call of Run. It runs on the goroutine of the caller.
type locker struct {
	config

	semaphore string
	work      func(context.Context) error
	opener    *term.Opener
	result    error // what work returned under the lock
}

func (l *locker) check(ctx context.Context) error {
	if ctx == nil {
		return errors.New("the context is nil")
	}
	if l.work == nil {
		return errors.New("the work is nil")
	}
	if err := term.CheckName(l.semaphore); err != nil {
		return err
	}

	timeout := cmp.Or(l.term.Timeout, limit.DefaultTimeout)
	if l.grace < 0 || l.grace > timeout/graceShare {
		return fmt.Errorf("the grace %v is out of range: it must be between 0 and a third of the timeout, which is %v",
			l.grace, timeout)
	}

	return l.term.Check()
}

// once opens a session, waits for the lock and calls work. It returns nil if work has returned under the lock.
func (l *locker) once(ctx context.Context) (err error) {
	t, err := l.opener.Open(ctx)
	if err != nil {
		return err
	}
	var held coordination.Lease
	defer func() { l.part(ctx, t, held) }() // also if work panics

	l.observe(Waiting{Session: t.SessionID()})
	lease, err := t.Acquire(ctx, l.semaphore)
	if err != nil {
		return err
	}
	if ctx.Err() != nil { // the grant and the end of ctx crossed
		held = lease

		return context.Cause(ctx)
	}
	l.observe(Acquired{Session: t.SessionID()})

	work, end, err := l.under(ctx, lease)
	if err != nil {
		held = lease

		return backoff.Permanent(fmt.Errorf("lock %q: %w", l.semaphore, err))
	}
	defer func() {
		inTime := end()
		if inTime || lease.Context().Err() == nil {
			held = lease
		}
		if !inTime {
			err = context.Cause(work)
		}
	}()
	l.result = l.work(work)

	return nil
}

// under returns the context for work, and a function to call when work has returned. See term.Under.
func (l *locker) under(
	ctx context.Context, lease coordination.Lease,
) (work context.Context, end func() (held bool), err error) {
	grant := &term.Grant{Lease: lease, Name: l.semaphore}
	observe := func(cause error) { l.observe(Lost{Cause: cause}) }
	if l.grace > 0 {
		return term.UnderWithGrace(ctx, grant, l.grace, observe)
	}
	work, end = term.Under(ctx, grant, observe)

	return work, end, nil
}

// part releases the lease, if there is one, and closes the session, within the time limit of one farewell.
func (l *locker) part(ctx context.Context, t *term.Term, held coordination.Lease) {
	farewell, cancel := term.Farewell(ctx)
	defer cancel()
	if held != nil {
		l.observe(Released{Err: t.Release(farewell, held)})
	}
	_ = t.Close(farewell, l.semaphore) // if it fails, the session times out
}
