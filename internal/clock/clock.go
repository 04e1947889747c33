// Package clock is the only place of the project that reads the time.
//
// Leases are counted in [Instant], nanoseconds on a clock that runs on while the machine sleeps. What people read
// (logs, pages) is time.Time; the two types are kept apart so that the compiler stops a mix-up.
package clock

import "time"

// Instant is a moment on a lease clock, in nanoseconds since an origin of that clock's choosing. Two instants compare
// only if they come from the same clock; an Instant is never stored or sent. The zero Instant means "none".
type Instant int64

// Add returns the instant d after i. It saturates instead of overflowing, so that a far deadline stays far.
func (i Instant) Add(d time.Duration) Instant {
	sum := i + Instant(d)
	if d > 0 && sum < i {
		return 1<<63 - 1
	}

	return sum
}

// Sub returns how long after u the instant i is.
func (i Instant) Sub(u Instant) time.Duration { return time.Duration(i - u) }

// A Clock tells the instant and wakes its callers. Its methods may be called from several goroutines.
type Clock interface {
	// Now returns the current instant; it never goes back and is never zero.
	Now() Instant

	// Time returns the date of an instant, by the machine's clock for people as it is set now.
	Time(i Instant) time.Time

	// NewTimer returns a timer that has not been set.
	NewTimer() Timer
}

// A Timer wakes one goroutine. It may ring early or late, and stands still while the machine sleeps on clocks whose
// timers do: who is woken compares with Now before anything else. Not safe for concurrent use.
type Timer interface {
	// C carries one value each time the timer rings.
	C() <-chan time.Time

	// Set makes the timer ring at the given instant, at once if that is past; it replaces an earlier setting.
	Set(now, at Instant)

	// Stop unsets the timer.
	Stop()
}

// Go returns a clock over package time: monotonic, and virtual inside a testing/synctest bubble.
func Go() Clock { return &goClock{origin: time.Now()} }

type goClock struct{ origin time.Time }

func (c *goClock) Now() Instant    { return Instant(time.Since(c.origin)) + 1 }
func (c *goClock) NewTimer() Timer { return newTimer() }

func (c *goClock) Time(i Instant) time.Time { return date(c, i) }

func date(c Clock, i Instant) time.Time { return time.Now().Add(i.Sub(c.Now())) }

type timer struct{ t *time.Timer }

// newTimer relies on Go 1.23 timers: after Stop or Reset no stale value is received.
func newTimer() Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()

	return timer{t}
}

func (t timer) C() <-chan time.Time { return t.t.C }
func (t timer) Set(now, at Instant) { t.t.Reset(max(0, at.Sub(now))) }
func (t timer) Stop()               { t.t.Stop() }
