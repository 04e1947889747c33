package term

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/ydberr"
)

// grantKey is the key of the *Grant in the context of work.
type grantKey struct{}

// A Grant is a lease and the name of its semaphore, which a lease does not report.
type Grant struct {
	Lease coordination.Lease
	Name  string

	token atomic.Uint64 // 0: not read yet
}

// A tokened lease knows its fencing token.
type tokened interface {
	Token(ctx context.Context) (uint64, error)
}

// Lease returns the lease under which the work with this context runs. It returns nil for any other context.
func Lease(ctx context.Context) coordination.Lease {
	if g, ok := ctx.Value(grantKey{}).(*Grant); ok {
		return g.Lease
	}

	return nil
}

// Token returns the fencing token of the lease under which the work with this context runs. The token is the order id
// of the acquire (C4). Token returns an error if ctx is not the context of work, if the lease is lost, or if ctx ends
// before the server has answered.
func Token(ctx context.Context) (uint64, error) {
	g, ok := ctx.Value(grantKey{}).(*Grant)
	if !ok {
		return 0, errors.New("there is no token: the context is not one that Run passed to work")
	}
	token, err := g.readToken(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the token of semaphore %q: %w", g.Name, err)
	}

	return token, nil
}

// readToken asks the lease for the token, or the server if the lease does not know it.
func (g *Grant) readToken(ctx context.Context) (uint64, error) {
	if token := g.token.Load(); token != 0 {
		return token, nil
	}
	held := g.Lease.Context()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(held, func() { cancel(lost(held)) })() // the SDK's client may wait even longer

	read := g.describe
	if lease, ok := g.Lease.(tokened); ok {
		read = lease.Token
	}
	token, err := read(ctx)
	switch {
	case err == nil:
		g.token.Store(token)

		return token, nil
	case held.Err() != nil:
		return 0, lost(held)
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	}

	return 0, ydberr.Because(ydberr.Text(err), err)
}

// describe finds the order id of the session's acquire among the owners of the semaphore. A session owns a semaphore at
// most once.
func (g *Grant) describe(ctx context.Context) (uint64, error) {
	session := g.Lease.Session()
	found, err := session.DescribeSemaphore(ctx, g.Name, options.WithDescribeOwners(true))
	if err != nil {
		return 0, err
	}
	for _, owner := range found.Owners {
		if owner.SessionID == session.SessionID() {
			return owner.OrderID, nil
		}
	}

	return 0, errors.New("the server does not list the session as an owner")
}

// Under returns a context for work under a lease. The context ends with ctx or with the lease. In the latter case its
// cause wraps ErrLost, and Under passes the cause to observe immediately. The caller calls end when work has returned.
// end reports whether the lease was held until then, and returns after observe has.
func Under(
	ctx context.Context, g *Grant, observe func(cause error),
) (work context.Context, end func() (held bool)) {
	held := g.Lease.Context()
	work, cancel := context.WithCancelCause(context.WithValue(ctx, grantKey{}, g))
	observed := make(chan struct{})
	stop := context.AfterFunc(held, func() {
		defer close(observed)
		cause := lost(held)
		cancel(cause)
		observe(cause)
	})

	return work, func() bool {
		inTime := stop()
		if !inTime {
			<-observed
		}
		cancel(nil)

		return inTime
	}
}
