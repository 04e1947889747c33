package term

import (
	"context"
	"errors"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clock"
)

// A timed lease reports its remaining time.
type timed interface{ Remaining() time.Duration }

// A renewable lease reports when its remaining time has grown.
type renewable interface{ Renewed() <-chan struct{} }

// looks is how often a Danger looks at a lease in danger that does not report renewals, within each grace.
const looks = 8

// Danger watches the remaining time of a lease until ctx ends. The lease is in danger when its remaining time has
// fallen to the grace, which must be positive, and safe again when the server has answered since. Danger calls
// endangered and saved in turns. CanEndanger must have accepted the lease.
func Danger(
	ctx context.Context, lease coordination.Lease, grace time.Duration, endangered, saved func(left time.Duration),
) {
	t := lease.(timed)
	clk := clock.FromContext(lease.Context()) // the client's, which a test may move
	timer := clk.NewTimer()
	defer timer.Stop()

	danger := false
	for {
		var renewed <-chan struct{}
		if r, ok := lease.(renewable); ok && danger {
			renewed = r.Renewed() // before Remaining, so that no renewal is missed
		}
		left := t.Remaining()
		if ctx.Err() != nil {
			return
		}
		switch inDanger := left <= grace; {
		case inDanger && !danger:
			danger = true
			endangered(left)

			continue
		case !inDanger && danger:
			danger = false
			saved(left)
		}
		// Answers can only add to the remaining time, so it is enough to read it at the earliest moment at which it can
		// have fallen to the grace.
		wait := left - grace
		if danger {
			wait = grace / looks
		}
		now := clk.Now()
		timer.Set(now, now.Add(wait))
		select {
		case <-timer.C():
		case <-renewed:
		case <-ctx.Done():
			return
		}
	}
}

var errUntimed = errors.New("a grace needs leases that report their remaining time, and those of this client do not: " +
	"use the client of package tenure")

// CanEndanger returns an error if Danger cannot watch the lease, because the lease does not report its remaining time.
func CanEndanger(lease coordination.Lease) error {
	if _, ok := lease.(timed); !ok {
		return errUntimed
	}

	return nil
}
