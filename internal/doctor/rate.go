package doctor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/clock"
	"tenure/internal/ydberr"
)

// The waits that the server measures for Rate. Only their difference counts, so that the way to the server and back
// does not.
const (
	shortWait = 500 * time.Millisecond
	longWait  = 5 * time.Second
)

// A Rate is a time on two clocks.
type Rate struct {
	Server, Here time.Duration
	Error        time.Duration // of the measurement
}

// Rate compares the rate of the server's clock with that of this machine. No answer of the server contains a time that
// is exact enough. So a session waits for a lock that another one holds, and the server ends the wait: with the clock
// on which it measures session timeouts. The trip is the longest time that a request takes.
func (p *Patient) Rate(ctx context.Context, clk clock.Clock, trip time.Duration) (Rate, error) {
	holder, err := p.session(ctx)
	if err != nil {
		return Rate{}, err
	}
	defer func() { _ = holder.Close(context.WithoutCancel(ctx)) }()
	waiter, err := p.session(ctx)
	if err != nil {
		return Rate{}, err
	}
	defer func() { _ = waiter.Close(context.WithoutCancel(ctx)) }()
	ctx, cancel := context.WithTimeoutCause(ctx, 4*longWait+p.Limit, errors.New("the server does not end a wait"))
	defer cancel()
	ephemeral := options.WithEphemeral(true)
	if _, err := holder.AcquireSemaphore(ctx, p.name, coordination.Exclusive, ephemeral); err != nil {
		return Rate{}, err
	}
	wait := func(limit time.Duration) (time.Duration, error) {
		began := clk.Now()
		lease, err := waiter.AcquireSemaphore(ctx, p.name, coordination.Exclusive, ephemeral,
			options.WithAcquireTimeout(limit))
		if err == nil {
			return 0, errors.Join(errors.New("the lock was lost"), lease.Release())
		}
		if !errors.Is(err, ydberr.ErrNotAcquired) && !errors.Is(err, coordination.ErrAcquireTimeout) {
			return 0, err
		}

		return clk.Now().Sub(began), nil
	}
	short, err := wait(shortWait)
	if err != nil {
		return Rate{}, err
	}
	long, err := wait(longWait)
	if r := rateOf(short, long, trip); err == nil && r.Here-r.Server > r.Error {
		var again time.Duration // perhaps this answer is not late
		again, err = wait(longWait)
		long = min(long, again)
	}

	return rateOf(short, long, trip), err
}

// rateOf returns the rate if the waits took these times here. A server ends no wait early, so what the short one took
// too long is a delay, such as that of a busy machine, which makes this clock look slow.
func rateOf(short, long, trip time.Duration) Rate {
	return Rate{
		Server: longWait - shortWait, Here: long - short, Error: max(trip+10*time.Millisecond, short-shortWait),
	}
}

// drift is how much slower the clock of a client may be than the server's: a lease is that much shorter than the
// session timeout. See docs/safety.md.
const drift = 0.01

// Line compares the two times.
func (r Rate) Line() Line {
	const check = "clock rate"
	off := float64(r.Here-r.Server) / float64(r.Server)
	uncertain := float64(r.Error) / float64(r.Server)
	percent := func(x float64) string { return fmt.Sprintf("%.1f %%", 100*math.Abs(x)) }
	l := ok(check, "while the server's clock advanced by %v, that of this machine advanced by %v (± %v)", r.Server,
		r.Here.Round(time.Millisecond), round(r.Error))
	switch {
	case off < -drift-uncertain:
		l.Result = Bad
		l.Found += fmt.Sprintf(": it runs %s slower, so a lease may end here later than on the server", percent(off))
		l.Do = "repair the clock of this machine or of the server before you rely on locks"
	case math.Abs(off) > drift+uncertain:
		l.Result = Warn
		l.Found += fmt.Sprintf(": it runs %s faster, so leases end early here", percent(off))
		l.Do = "repair the clock of this machine or of the server"
	case uncertain > drift:
		l.Result = Warn
		l.Found += ", which is too inexact to tell"
		l.Do = "try again when the server and the network are less busy"
	}

	return l
}

// LocalRate compares the clock that times leases with the date of this machine while do runs.
func LocalRate(clk clock.Clock, date func() time.Time, do func()) Rate {
	before, from := clk.Now(), date().Round(0)
	do()

	return Rate{Server: date().Round(0).Sub(from), Here: clk.Now().Sub(before), Error: time.Millisecond}
}

// LocalLine compares the clock that times leases with the date.
func (r Rate) LocalLine() Line {
	l := ok("clock", "the clock that times leases advanced by %v, and the date by %v", r.Here.Round(time.Millisecond),
		r.Server.Round(time.Millisecond))
	if off := r.Here - r.Server; off.Abs() > time.Duration(drift*float64(r.Here))+r.Error {
		l.Result = Warn
		l.Do = "see whether something sets the clock of this machine: leases are not affected, but the dates in logs are"
	}

	return l
}
