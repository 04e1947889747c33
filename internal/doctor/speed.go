package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/clock"
)

// pairs is how often Speed acquires a lock and releases it.
const pairs = 50

// Speeds are the times that requests took.
type Speeds struct {
	Trips   []time.Duration // without a commit: one round trip
	Commits []time.Duration // with a commit: acquire and release
}

// Speed measures how long the server takes for requests that a lock makes.
func (p *Patient) Speed(ctx context.Context, clk clock.Clock) (Speeds, error) {
	var s Speeds
	session, err := p.session(ctx)
	if err != nil {
		return s, err
	}
	defer func() { _ = session.Close(context.WithoutCancel(ctx)) }() // it times out otherwise
	measure := func(to *[]time.Duration, do func(context.Context) error) error {
		ctx, cancel := p.limited(ctx)
		defer cancel()
		began := clk.Now()
		err := do(ctx)
		*to = append(*to, clk.Now().Sub(began))

		return err
	}
	for range pairs {
		var lease coordination.Lease
		if err := measure(&s.Commits, func(ctx context.Context) (err error) {
			lease, err = session.AcquireSemaphore(ctx, p.name, coordination.Exclusive, options.WithEphemeral(true))

			return err
		}); err != nil {
			return s, err
		}
		if err := measure(&s.Trips, func(ctx context.Context) error {
			_, err := session.DescribeSemaphore(ctx, p.name)

			return err
		}); err != nil {
			return s, err
		}
		if err := measure(&s.Commits, func(context.Context) error { return lease.Release() }); err != nil {
			return s, err
		}
	}

	return s, nil
}

// Lines compares the times with a session timeout. The client renews a lease in time if a request takes less than a
// twentieth of the timeout. If it takes a quarter or more, an ordinary delay is enough to lose the lease.
func (s Speeds) Lines(timeout time.Duration) []Line {
	return []Line{
		judge("round trip", "a request", s.Trips, timeout, "look for what is slow: the network, or the server"),
		judge("commit", "an acquire or a release", s.Commits, timeout,
			"look for what is slow: the network, or the server's disk"),
	}
}

func judge(check, what string, times []time.Duration, timeout time.Duration, do string) Line {
	p50, p99 := percentile(times, 50), percentile(times, 99)
	l := ok(check, "%s takes %v (p50) to %v (p99)", what, round(p50), round(p99))
	if p99 >= timeout/20 {
		l.Result = Warn
		l.Found += fmt.Sprintf(", which is long for the timeout of %v", timeout)
		l.Do = fmt.Sprintf("%s, or use a --timeout of at least %v", do, (20 * p99).Round(100*time.Millisecond))
	}
	if p99 >= timeout/4 {
		l.Result = Bad
	}

	return l
}

// percentile returns the smallest of the times that n percent of them do not exceed.
func percentile(times []time.Duration, n int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))

	return sorted[(len(sorted)*n+99)/100-1]
}

// Trip returns the longest time of a round trip.
func (s Speeds) Trip() time.Duration { return percentile(s.Trips, 100) }
