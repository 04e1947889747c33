// Package clocktest provides a clock that a test can move forward.
package clocktest

import (
	"context"
	"sync"
	"time"

	"tenure/internal/clock"
)

// Clock runs with real time and can be moved forward in addition. Its methods may be called from several goroutines.
//
// Step and Settle need to know when the work that a timer starts is done, so a timer that has rung is pending until its
// owner calls Set or Stop. The owner must call one of them when it has done the work that was due, and not before.
type Clock struct {
	base clock.Clock

	mu      sync.Mutex // guards the rest, and the fields of the timers
	offset  time.Duration
	armed   map[*timer]struct{}
	pending int           // number of timers that have rung and whose owners are still working
	quiet   chan struct{} // closed when pending becomes 0; nil while pending is 0
}

var _ clock.Clock = (*Clock)(nil)

// New returns a clock that has not been moved.
func New() *Clock { return &Clock{base: clock.Go(), armed: make(map[*timer]struct{})} }

// Now implements clock.Clock.
func (c *Clock) Now() clock.Instant {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.now()
}

// now is called with mu held.
func (c *Clock) now() clock.Instant { return c.base.Now().Add(c.offset) }

// Time implements clock.Clock. Dates move with the clock.
func (c *Clock) Time(i clock.Instant) time.Time { return c.base.Time(i) }

// NewTimer implements clock.Clock.
func (c *Clock) NewTimer() clock.Timer { return &timer{clock: c, c: make(chan time.Time, 1)} }

// NewAlarm implements clock.Clock.
func (c *Clock) NewAlarm(ring func()) clock.Timer { return &timer{clock: c, ring: ring} }

// Step moves the clock to the next instant at which a timer is due, but not beyond limit, and makes the timers that are
// due then ring. It reports whether the clock has reached limit. Call Settle before and after Step.
func (c *Clock) Step(limit clock.Instant) (reached bool) {
	c.mu.Lock()
	defer c.mu.Unlock()

	now := c.now()
	to := max(now, limit)
	for t := range c.armed {
		to = min(to, max(now, t.at))
	}
	c.offset += to.Sub(now)
	for t := range c.armed {
		t.ringIfDue(c.now())
	}

	return to >= limit
}

// Settle waits until no timer is pending. If ctx ends first, Settle returns its error.
func (c *Clock) Settle(ctx context.Context) error {
	for {
		c.mu.Lock()
		quiet := c.quiet
		c.mu.Unlock()
		if quiet == nil {
			return nil
		}
		select {
		case <-quiet:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

type timer struct {
	clock *Clock
	c     chan time.Time // capacity 1; filled and emptied with clock.mu held, and emptied by the owner too
	ring  func()         // nil, or c is

	at      clock.Instant // 0: the timer is not set, or has rung
	pending bool
	wake    *time.Timer // rings the timer when real time reaches it; nil until the first Set
}

func (t *timer) C() <-chan time.Time { return t.c }

// Set reads the clock again, because it may have been moved since the caller read it.
func (t *timer) Set(_, at clock.Instant) {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()

	t.done()
	now := t.clock.now()
	t.at = at
	t.clock.armed[t] = struct{}{}
	wait := max(0, at.Sub(now))
	if t.wake == nil {
		t.wake = time.AfterFunc(wait, t.reached)
	} else {
		t.wake.Reset(wait)
	}
}

func (t *timer) Stop() {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()

	t.done()
	if t.wake != nil {
		t.wake.Stop()
	}
}

// reached is called when real time reaches the instant of the timer. Step may have made the timer ring before that.
func (t *timer) reached() {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()

	t.ringIfDue(t.clock.now())
}

// ringIfDue is called with clock.mu held.
func (t *timer) ringIfDue(now clock.Instant) {
	if t.at == 0 || t.at > now {
		return
	}
	t.at, t.pending = 0, true
	delete(t.clock.armed, t)
	if t.clock.pending++; t.clock.pending == 1 {
		t.clock.quiet = make(chan struct{})
	}
	if t.ring != nil {
		go t.ring()

		return
	}
	t.c <- time.Time{} // done has emptied it
}

// done unsets the timer and takes back a ring that nobody has received. It is called with clock.mu held.
func (t *timer) done() {
	t.at = 0
	delete(t.clock.armed, t)
	select {
	case <-t.c:
	default:
	}
	if !t.pending {
		return
	}
	t.pending = false
	if t.clock.pending--; t.clock.pending == 0 {
		close(t.clock.quiet)
		t.clock.quiet = nil
	}
}
