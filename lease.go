package tenure

import (
	"context"
	"errors"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/clock"
	"tenure/internal/session"
)

// Lease is what a session holds of a semaphore. Its methods may be called from several goroutines.
type Lease struct {
	session *Session
	core    *session.Lease // guarded by session.mu
	ctx     context.Context
	cancel  context.CancelCauseFunc
}

var _ coordination.Lease = (*Lease)(nil)

// leaseOf returns the user's side of a lease. It is called with mu held.
func (s *Session) leaseOf(core *session.Lease) *Lease {
	if core.Owner == nil {
		l := &Lease{session: s, core: core}
		l.ctx, l.cancel = context.WithCancelCause(s.ctx)
		core.Owner = l
	}

	return core.Owner.(*Lease)
}

// Context ends when the lease does: released, lost with its session, or its semaphore deleted; the cause says which,
// as one of the errors of this package. It ends before the node can grant to others what was held.
func (l *Lease) Context() context.Context { return l.ctx }

// Session returns the session that the lease belongs to.
func (l *Lease) Session() coordination.Session { return l.session }

// Release gives the lease back. Its context ends at once; Release returns when the server has answered, or when the
// session is over, which is then the error. A lease that has ended is none to give back: nil, unless its session is
// over.
func (l *Lease) Release() error {
	_, err := l.session.call(context.WithoutCancel(l.ctx), "release semaphore", l.core.Name, session.NewRelease(l.core))

	return err
}

// Token returns the lease's fencing token: the order id of its acquire, which is above those of all acquires of the
// node before it (C4). The first call asks the server, later ones do not.
func (l *Lease) Token(ctx context.Context) (uint64, error) {
	if token := l.token(); token != 0 {
		return token, nil
	}
	_, err := l.session.DescribeSemaphore(ctx, l.core.Name, options.WithDescribeOwners(true))
	if token := l.token(); token != 0 {
		return token, nil
	}
	if err == nil {
		err = context.Cause(l.ctx)
	}
	if err == nil {
		err = errors.New("the server does not say who owns the semaphore")
	}

	return 0, err
}

func (l *Lease) token() uint64 {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()

	return l.core.OrderID
}

// Deadline returns until when the lease is surely held, as things stand: each answer of the node moves it on. It is the
// zero time when the lease has ended.
func (l *Lease) Deadline() time.Time {
	at := clock.Instant(l.session.deadline.Load())
	if at == 0 || l.ctx.Err() != nil {
		return time.Time{}
	}

	return l.session.client.clock.Time(at)
}

// Remaining returns for how long from now the lease is surely held, as things stand: each answer of the node adds to
// it. It is 0 when the lease has ended, and from its deadline on, and never negative. It does no I/O.
func (l *Lease) Remaining() time.Duration {
	at := clock.Instant(l.session.deadline.Load())
	if l.ctx.Err() != nil {
		return 0
	}

	return max(0, at.Sub(l.session.client.clock.Now())) // the clock is read last, so that no delay adds to it
}

// Valid reports whether the lease is surely held at this moment. It does no I/O: call it right before a side effect.
func (l *Lease) Valid() bool { return l.ctx.Err() == nil && l.session.alive() }
