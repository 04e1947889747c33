package lock

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cenkalti/backoff/v5"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/term"
)

// ErrLost is wrapped by the cause of the context of work whose lock was lost: its session has ended, or could not be
// kept alive. See [context.Cause].
var ErrLost = term.ErrLost

// Lease returns the lease that the work with this context is done under, for its fencing token, its session and what
// else the client's leases tell; nil if ctx is not one that [Run] gave to work. Run gives it back: the caller must not.
func Lease(ctx context.Context) coordination.Lease { return term.Lease(ctx) }

// Run calls work while it holds the lock: the ephemeral semaphore of this name on the coordination node at path, taken
// as a whole. The node is created if it is missing. Until the lock is held, Run waits; there is no limit but ctx.
//
// The context of work is ctx, ended also when the lock is lost. Then Run waits for work to return, whatever that
// returns, and begins anew: it opens a new session, waits for the lock and calls work again. When work returns and the
// lock is still held, Run gives the lock back and returns what work returned. So work may run several times, never
// twice at once, and its last run was under the lock from beginning to end. [Lease] tells work more about the lock that
// it has, and [WithGrace] lets its context end some time ahead of the loss.
//
// When ctx ends while work runs, Run waits for work to return and gives the lock back, so that the next in the queue
// has it at once; its result is that of work even so. When ctx ends at any other time, Run returns the cause of that
// ([context.Cause]).
//
// What can pass is tried again, after a pause that grows to some seconds: no connection, an overloaded server, a
// session that does not start. What cannot is returned at once: wrong arguments, missing rights, a path that is no
// node, a semaphore of this name that is not ephemeral. The errors of the client can be read with [errors.As].
//
// If work panics, the lock is given back and the panic goes on.
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
		opt(&l.config)
	}
	if err := l.check(); err != nil {
		return fmt.Errorf("lock %q: %w", semaphore, err)
	}

	l.opener = term.NewOpener(l.term, l.noSession)
	if err := l.opener.Repeat(ctx, func() error { return l.once(ctx) }, l.retry); err != nil {
		return err
	}

	return l.result
}

// A locker is one call of Run. All is done on the goroutine of the caller.
type locker struct {
	config

	semaphore string
	work      func(context.Context) error
	opener    *term.Opener
	result    error // of work that has returned under the lock
}

func (l *locker) check() error {
	if l.work == nil {
		return errors.New("the work is nil")
	}
	if err := term.CheckName(l.semaphore); err != nil {
		return err
	}
	if err := term.CheckData(l.data); err != nil {
		return err
	}

	timeout := cmp.Or(l.term.Timeout, term.DefaultTimeout)
	if l.grace < 0 || l.grace > timeout/graceShare {
		return fmt.Errorf("grace %v is not within 0 and a third of the timeout, which is %v", l.grace, timeout)
	}

	return l.term.Check()
}

// once opens a session, waits for the lock and works. It returns nil if work has returned under the lock.
func (l *locker) once(ctx context.Context) (err error) {
	t, err := l.opener.Open(ctx)
	if err != nil {
		return err
	}
	var held coordination.Lease
	defer func() { l.part(ctx, t, held) }() // also if work does not return but panics

	l.observe(Waiting{Session: t.SessionID()})
	lease, err := t.Acquire(ctx, l.semaphore, l.data)
	if err != nil {
		return err
	}
	if ctx.Err() != nil { // the grant has crossed the end of ctx
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

// under returns the context for work, and what is to be called when that has returned; see term.Under.
func (l *locker) under(
	ctx context.Context, lease coordination.Lease,
) (work context.Context, end func() (held bool), err error) {
	observe := func(cause error) { l.observe(Lost{Cause: cause}) }
	if l.grace > 0 {
		return term.UnderWithGrace(ctx, lease, l.grace, observe)
	}
	work, end = term.Under(ctx, lease, observe)

	return work, end, nil
}

// part gives the lease back, if one is held, and closes the session, in the time of one farewell.
func (l *locker) part(ctx context.Context, t *term.Term, held coordination.Lease) {
	farewell, cancel := term.Farewell(ctx)
	defer cancel()
	if held != nil {
		l.observe(Released{Err: t.Release(farewell, held)})
	}
	_ = t.Close(farewell, l.semaphore) // if it fails, the session times out
}
