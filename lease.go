package tenure

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/clock"
	"tenure/internal/nocontext"
	"tenure/internal/session"
)

// Lease is a session's ownership of a semaphore, or of a part of its limit. Its methods are safe for concurrent use.
type Lease struct {
	session *Session
	core    *session.Lease // guarded by session.mu
	ended   atomic.Bool    // the lease has ended before the session; set after cause

	// Guarded by session.mu. The context is made at the first use, because many leases are released before that.
	ctx    context.Context
	cancel context.CancelCauseFunc
	cause  error // why the lease has ended before the session; nil if it has not
}

var _ coordination.Lease = (*Lease)(nil)

// leaseOf returns the Lease for a lease of the core. It makes it on the first call. The caller holds mu.
func (s *Session) leaseOf(core *session.Lease) *Lease {
	if core.Owner == nil {
		core.Owner = &Lease{session: s, core: core}
	}

	return core.Owner.(*Lease)
}

// end ends the lease before the session. The caller holds mu.
func (l *Lease) end(cause error) {
	l.cause = cause
	l.ended.Store(true)
	if l.cancel != nil {
		l.cancel(cause)
	}
}

// over reports whether the lease, or its session, has ended.
func (l *Lease) over() bool { return l.ended.Load() || l.session.ctx.Err() != nil }

// context returns the context of the lease. The caller holds session.mu.
func (l *Lease) context() context.Context {
	switch {
	case l.ctx != nil:
	case l.cause != nil: // the session may have ended later, with another cause
		l.ctx, l.cancel = context.WithCancelCause(l.session.base)
		l.cancel(l.cause)
	default:
		l.ctx, l.cancel = context.WithCancelCause(l.session.ctx)
	}

	return l.ctx
}

// Context returns a context that ends when the lease ends: when it is released, when the session ends, or when the
// semaphore is deleted by force. The context ends before the server can grant the lease's share of the semaphore to
// another session. Its cause, which [context.Cause] returns, is or wraps one of the errors of this package, such as
// [ErrLeaseReleased].
func (l *Lease) Context() context.Context {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()

	return l.context()
}

// Session returns the session that acquired the lease.
func (l *Lease) Session() coordination.Session { return l.session }

// Release ends the lease. It ends the context of the lease immediately, asks the server to release the semaphore, and
// returns when the server has answered. If the session ends first, Release returns the session's error. Releasing a
// lease that has already ended returns nil, or the session's error if the session has ended.
//
// Without an answer, Release can block until the deadline of the session. [Lease.ReleaseContext] does not.
func (l *Lease) Release() error { return l.ReleaseContext(l.session.base) }

// ReleaseContext is like Release, but returns the error of ctx if ctx ends before the server has answered. The lease
// has ended nevertheless, and the client keeps asking the server to release the semaphore until it answers or the
// session ends.
func (l *Lease) ReleaseContext(ctx context.Context) error {
	_, err := l.session.begin(nocontext.Or(ctx), "release semaphore", l.core.Name, session.NewRelease(l.core))

	return err
}

// Token returns the fencing token of the lease. It is the order id of the acquire, which is greater than the order ids
// of all earlier acquires on the same node. The first call asks the server. Later calls do not.
func (l *Lease) Token(ctx context.Context) (uint64, error) {
	if token := l.token(); token != 0 {
		return token, nil
	}
	_, err := l.session.DescribeSemaphore(ctx, l.core.Name, options.WithDescribeOwners(true))
	if token := l.token(); token != 0 {
		return token, nil
	}
	if err == nil {
		err = context.Cause(l.Context())
	}
	if err == nil {
		err = errors.New("the server did not return the owners of the semaphore")
	}

	return 0, err
}

func (l *Lease) token() uint64 {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()

	return l.core.OrderID
}

// Deadline returns the time until which the lease is certain to be held, as far as the client knows now. Each answer of
// the node moves it forward. It returns the zero time once the lease has ended.
func (l *Lease) Deadline() time.Time {
	at := clock.Instant(l.session.deadline.Load())
	if at == 0 || l.over() {
		return time.Time{}
	}

	return l.session.client.clock.Time(at)
}

// Remaining returns the time left until the deadline of the lease. It is never negative: it returns 0 once the deadline
// has passed or the lease has ended. It does no I/O.
func (l *Lease) Remaining() time.Duration {
	at := clock.Instant(l.session.deadline.Load())
	if l.over() {
		return 0
	}

	return max(0, at.Sub(l.session.client.clock.Now())) // read the clock last, so that a delay cannot inflate the result
}

// Valid reports whether the lease is certain to be held at this moment. It does no I/O, so it can be called immediately
// before each side effect.
func (l *Lease) Valid() bool { return !l.over() && l.session.alive() }

// Renewed returns a channel that is closed when the deadline of the lease has moved since the call, or when the lease
// has ended.
func (l *Lease) Renewed() <-chan struct{} { return l.session.nextRenewal(l) }
