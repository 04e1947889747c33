package clock

import (
	"sync/atomic"
	"time"
)

const (
	// refresh is how long a reader relies on one exact reading, on a clock that stands still while the machine sleeps.
	refresh = time.Millisecond

	// tolerance bounds the sleep that a reader overlooks.
	tolerance = 100 * time.Microsecond
)

// A reader reads a clock that keeps running while the machine sleeps, and makes few exact readings of it, because these
// are expensive. In between, it adds the time that has passed on a clock that stands still meanwhile.
//
// It notices a sleep by the wall clock. The system advances both the wall clock and the exact clock by the length of
// the sleep at the same moment, so the difference between the wall clock and the clock that stood still jumps. If
// somebody also sets the wall clock back by just the length of the sleep, the next exact reading notices the sleep,
// after refresh at the latest. That is far less than the margin of a deadline.
//
// The zero time of now is that of the exact clock. The values of now never go back. A reader is safe for concurrent
// use.
type reader struct {
	read  func() reading
	exact func() int64

	base atomic.Pointer[base] // nil before the first reading
}

// reading is the time in nanoseconds on two clocks.
type reading struct {
	running int64 // does not advance while the machine sleeps
	wall    int64 // advances while the machine sleeps; somebody may set it
}

// base is what a reader relies on.
type base struct {
	reading

	ahead int64 // what to add to running
}

// covers reports whether the base holds for a later reading.
func (b *base) covers(r reading) bool {
	passed := r.running - b.running
	jump := r.wall - b.wall - passed

	return 0 <= passed && passed < int64(refresh) && -int64(tolerance) <= jump && jump <= int64(tolerance)
}

func (c *reader) now() Instant {
	r := c.read()
	b := c.base.Load()
	if b == nil || !b.covers(r) {
		r, b = c.renew()
	}

	return Instant(r.running + b.ahead)
}

// renew makes an exact reading.
func (c *reader) renew() (reading, *base) {
	for try := 0; ; try++ {
		old := c.base.Load()
		before := c.read()
		exact := c.exact()
		r := c.read()
		if limit := tolerance / 2 << (try / 8); r.running-before.running > int64(limit) {
			continue // the goroutine was interrupted
		}
		// The difference is too small by the time between the two readings. Unless the machine has slept, the old
		// difference holds, so that now does not go back for other goroutines.
		b := &base{reading: r, ahead: exact - r.running}
		if old != nil && b.ahead <= old.ahead+int64(tolerance) {
			b.ahead = old.ahead
		}
		if c.base.CompareAndSwap(old, b) {
			return r, b
		}
	}
}
