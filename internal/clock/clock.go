// Package clock reads the time. No other package of the project does.
//
// Leases are counted in [Instant], nanoseconds on a clock that keeps running while the machine sleeps. Times that
// people read are time.Time. The two types are separate so that the compiler catches a mix-up.
package clock

import "time"

// Instant is a moment on a lease clock, in nanoseconds since an origin that the clock chooses. Instants can be compared
// only if they come from the same clock. Do not store or send them. The zero Instant means "none".
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

// A Clock reports the current instant and wakes its callers. Its methods may be called from several goroutines.
type Clock interface {
	// Now returns the current instant. It never goes back and is never zero.
	Now() Instant

	// Time returns the date of an instant, by the current setting of the machine's wall clock.
	Time(i Instant) time.Time

	// NewTimer returns a timer that has not been set.
	NewTimer() Timer

	// NewAlarm returns a timer that has not been set, and calls ring in a goroutine of its own when it rings. Its method C
	// returns nil. A call of ring may begin before Stop or Set returns and end after it.
	NewAlarm(ring func()) Timer
}

// A Timer wakes one goroutine. It may ring early or late, and some timers stand still while the machine sleeps, so the
// goroutine must compare with Now before it does anything. Set and Stop must not be called concurrently, but another
// goroutine may receive from C meanwhile. After a ring, the timer's owner calls Set or Stop when it has done what was
// due, and not before: a clock that is moved by a test waits for that.
type Timer interface {
	// C carries one value each time the timer rings.
	C() <-chan time.Time

	// Set makes the timer ring at the given instant, or immediately if that is past. It replaces an earlier setting.
	Set(now, at Instant)

	// Stop unsets the timer.
	Stop()
}

// Go returns a clock based on package time. It is monotonic, and virtual inside a testing/synctest bubble.
func Go() Clock { return &goClock{origin: time.Now()} }

type goClock struct{ origin time.Time }

func (c *goClock) Now() Instant    { return Instant(time.Since(c.origin)) + 1 }
func (c *goClock) NewTimer() Timer { return newTimer() }

func (c *goClock) NewAlarm(ring func()) Timer { return newAlarm(ring) }

func (c *goClock) Time(i Instant) time.Time { return date(c, i) }

func date(c Clock, i Instant) time.Time { return time.Now().Add(i.Sub(c.Now())) }

type timer struct{ t *time.Timer }

// newTimer relies on the timers of Go 1.23: no stale value is received after Stop or Reset.
func newTimer() Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()

	return timer{t}
}

func newAlarm(ring func()) Timer {
	t := time.AfterFunc(time.Hour, ring)
	t.Stop()

	return timer{t}
}

func (t timer) C() <-chan time.Time { return t.t.C }
func (t timer) Set(now, at Instant) { t.t.Reset(max(0, at.Sub(now))) }
func (t timer) Stop()               { t.t.Stop() }
