package term

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clock"
)

// leaseKey is what the context of work keeps its lease under.
type leaseKey struct{}

// Lease returns the lease that the work with this context is done under; nil elsewhere.
func Lease(ctx context.Context) coordination.Lease {
	lease, _ := ctx.Value(leaseKey{}).(coordination.Lease)

	return lease
}

// Under returns a context for what is done under a lease: it ends with ctx, and with the lease, and then has a cause
// that wraps ErrLost and is handed to observe at once. The caller calls end when the work has returned; it reports
// whether the lease was still held then, and returns after observe has.
func Under(
	ctx context.Context, lease coordination.Lease, observe func(cause error),
) (work context.Context, end func() (held bool)) {
	return within(ctx, lease.Context(), lease, observe)
}

// UnderWithGrace is Under for work that takes time to stop: its lease counts as lost already when the time that it
// surely lasts has come down to the grace. An answer of the server that comes in time puts that off; one that comes
// later does not call it back. The error says that the lease is not one that tells its time.
func UnderWithGrace(
	ctx context.Context, lease coordination.Lease, grace time.Duration, observe func(cause error),
) (work context.Context, end func() (held bool), err error) {
	timed, ok := lease.(interface{ Remaining() time.Duration })
	if !ok {
		return nil, nil, errors.New("a grace needs leases that tell how long they last, and those of this client " +
			"do not: use the client of package tenure")
	}

	safe, danger := context.WithCancelCause(lease.Context())
	var watch sync.WaitGroup
	watch.Go(func() {
		clk := clock.FromContext(safe) // the client's, which a test may move
		timer := clk.NewTimer()
		defer timer.Stop()
		// Until the instant at which it comes down to the grace, as things stand, there is nothing to look at.
		for left := timed.Remaining(); left > grace; left = timed.Remaining() {
			now := clk.Now()
			timer.Set(now, now.Add(left-grace))
			select {
			case <-timer.C():
			case <-safe.Done():
				return
			}
		}
		danger(fmt.Errorf("no answer from the server, and others can have it in %v", grace))
	})
	work, endWork := within(ctx, safe, lease, observe)

	return work, func() bool {
		held := endWork()
		danger(nil)
		watch.Wait()

		return held
	}, nil
}

// within returns a context for work under a lease that counts as held until safe has ended.
func within(
	ctx, safe context.Context, lease coordination.Lease, observe func(cause error),
) (work context.Context, end func() (held bool)) {
	work, cancel := context.WithCancelCause(context.WithValue(ctx, leaseKey{}, lease))
	observed := make(chan struct{})
	stop := context.AfterFunc(safe, func() {
		defer close(observed)
		cause := lost(safe)
		cancel(cause)
		observe(cause)
	})

	return work, func() bool {
		held := stop()
		if !held {
			<-observed
		}
		cancel(nil)

		return held
	}
}
