package lock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clock"
	"tenure/internal/limit"
	"tenure/internal/nocontext"
	"tenure/internal/term"
)

// tryLimit limits the attempts to reach the server if the call does not wait for the lock.
const tryLimit = 10 * time.Second

// A locker is one call of this package. It runs on the goroutine of the caller.
type locker struct {
	config

	name     string
	requests []term.Request // sorted by name
	opener   *term.Opener
	clock    clock.Clock
	since    clock.Instant // the start of the wait for the lock
	queue    queue         // what is known about the lock that the session waits for
	reason   error         // why there is no session; nil if there is one
	electing bool          // it is a call of Elect
	leader   *Leader       // the one reported last; nil: none; mu guards it
}

func newLocker(client coordination.Client, node, name string, opts []Option) *locker {
	l := &locker{
		config: config{
			tell: func(Event) {}, term: term.Config{Client: client, Path: node}, wait: -1, mu: new(sync.Mutex),
		},
		name:  name,
		clock: clock.Go(),
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&l.config)
		}
	}

	return l
}

// prepare checks the arguments and makes the opener.
func (l *locker) prepare(ctx context.Context) error {
	if err := l.check(ctx); err != nil {
		return l.wrong(err)
	}
	for _, name := range append([]string{l.name}, l.also...) {
		l.requests = append(l.requests, l.request(name))
	}
	slices.SortFunc(l.requests, func(a, b term.Request) int { return cmp.Compare(a.Name, b.Name) })
	l.opener = term.NewOpener(l.term, func(without time.Duration, why error) {
		l.observe(NoSession{For: without, Err: why})
	})

	return nil
}

// wrong returns the error of a call with wrong arguments. The name may be one of them.
func (l *locker) wrong(err error) error { return fmt.Errorf("lock %s: %w", limit.Quote(l.name), err) }

func (l *locker) request(name string) term.Request {
	r := term.Request{Name: name, NoWait: l.wait == 0, Look: true}
	switch {
	case l.limit != nil:
		r.Limit, r.Count = *l.limit, 1
		if l.count != nil {
			r.Count = *l.count
		}
	case l.shared:
		r.Count = coordination.Shared
	}

	return r
}

func (l *locker) check(ctx context.Context) error {
	if ctx == nil {
		return nocontext.Err
	}
	seen := map[string]bool{}
	for _, name := range append([]string{l.name}, l.also...) {
		if err := term.CheckName(name); err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("the name %q is given twice", name)
		}
		seen[name] = true
	}
	if l.limited && l.wait < 0 {
		return fmt.Errorf("the wait %v is negative: leave out WithWait to wait without a limit", l.wait)
	}
	timeout := cmp.Or(l.term.Timeout, limit.DefaultTimeout)
	switch {
	case l.grace < 0 || l.grace > timeout/graceShare:
		return fmt.Errorf("the grace %v is out of range: it must be between 0 and a third of the timeout, which is %v",
			l.grace, timeout)
	case l.limit == nil && l.count != nil:
		return errors.New("the limit is missing: it must be at least 1, and the same for all users of the lock")
	case l.limit != nil && *l.limit == 0:
		return errors.New("the limit is 0: it must be at least 1, and the same for all users of the lock")
	case l.limit != nil && l.shared:
		return errors.New("WithShared cannot be combined with WithLimit: use WithLimit, and WithCount with 1")
	case l.count != nil && *l.count == 0:
		return errors.New("the count is 0: it must be at least 1")
	case l.count != nil && *l.count > *l.limit:
		return fmt.Errorf("the count %d is above the limit %d", *l.count, *l.limit)
	}

	return l.term.Check()
}

// acquire waits for the lock. It returns when it holds the lock, when ctx ends, or when the time limit has passed.
func (l *locker) acquire(ctx context.Context) (*Held, error) {
	bound, cancel := l.bound(ctx)
	defer cancel()
	var held *Held
	l.since = l.clock.Now()
	err := l.opener.Repeat(bound, func() (err error) {
		held, err = l.once(bound)

		return err
	}, l.retry)

	return held, l.explain(ctx, err)
}

// errTime is the cause of the end of a context whose time limit has passed.
var errTime = errors.New("the time limit has passed")

// bound returns a context with the time limit.
func (l *locker) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	switch {
	case l.wait < 0:
		return ctx, func() {}
	case l.wait == 0:
		return context.WithTimeoutCause(ctx, tryLimit, errTime)
	}

	return context.WithTimeoutCause(ctx, l.wait, errTime)
}

// explain turns errTime and ErrTaken into the errors that callers see.
func (l *locker) explain(ctx context.Context, err error) error {
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.Is(err, term.ErrTaken):
		return &BusyError{Name: l.queue.name, Holders: l.queue.holders}
	case !errors.Is(err, errTime):
		return err
	case l.wait == 0:
		return fmt.Errorf("lock %q: %w", l.name, cmp.Or(l.reason, l.opener.Reason(), errTime))
	}

	return &BusyError{
		Name: cmp.Or(l.queue.name, l.name), Wait: l.wait, Holders: l.queue.holders,
		Err: cmp.Or(l.reason, l.opener.Reason()),
	}
}

func (l *locker) retry(err error, after time.Duration) {
	l.reason = err
	l.observe(Retry{Err: err, After: after})
}

// once opens a session and acquires the lock.
func (l *locker) once(ctx context.Context) (_ *Held, err error) {
	t, err := l.opener.Open(ctx)
	if err != nil {
		return nil, err
	}
	l.reason = nil
	h := newHeld(ctx, l, t)
	defer func() {
		if err != nil {
			h.giveUp(ctx)
		}
	}()
	for _, r := range l.requests {
		if err := l.one(ctx, h, r); err != nil {
			return nil, err
		}
	}
	if l.grace > 0 {
		if err := term.CanEndanger(h.leases[0]); err != nil {
			return nil, backoff.Permanent(fmt.Errorf("lock %q: %w", l.name, err))
		}
	}
	if ctx.Err() != nil { // the grant and the end of ctx crossed
		return nil, context.Cause(ctx)
	}
	h.begin()

	return h, nil
}

// one acquires one of the semaphores and reads its token.
func (l *locker) one(ctx context.Context, h *Held, r term.Request) error {
	l.queue = queue{name: r.Name}
	l.observe(Waiting{Session: h.term.SessionID(), Name: r.Name})
	stop := l.look(ctx, h.term, r)
	defer stop() // also if the client panics
	lease, found, err := h.term.Acquire(ctx, r)
	stop()
	switch {
	case errors.Is(err, term.ErrTaken):
		l.queue.holders = holders(found)

		return backoff.Permanent(err)
	case err != nil:
		return err
	}
	h.leases = append(h.leases, lease)
	token, err := h.term.Read(ctx, lease, found, r)
	if err != nil {
		return err
	}
	h.tokens[r.Name] = token

	return nil
}
