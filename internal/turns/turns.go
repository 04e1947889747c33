// Package turns lets goroutines with heavy work take turns.
package turns

import (
	"runtime"
	"time"

	"tenure/internal/clock"
)

// Large is the size in bytes from which a message is heavy work. To receive and copy one of 1 MiB takes a thousand
// times as long as a usual request.
const Large = 32 << 10

// patience is how long a goroutine waits for its turn. Then it works without one, because the goroutines whose turn it
// is may not be able to continue, and others must not depend on them.
const patience = 20 * time.Millisecond

// Turns limits how many goroutines do heavy work at the same time, to half of the processors. Without it, goroutines
// with large messages would all be ready to run at the same time. The scheduler serves those that are ready in order,
// so each step of a small request would wait for a step of all large ones. The methods are safe for concurrent use. A
// nil *Turns is valid and limits nothing.
type Turns struct {
	clock clock.Clock
	taken chan struct{} // has an element for each turn that is taken
}

// New returns turns that nobody has taken.
func New(clk clock.Clock) *Turns {
	return &Turns{clk, make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
}

// Take waits for a turn, but not for long. It returns false if there was none: then the caller works without one, and
// must not call Give.
func (t *Turns) Take() bool {
	if t == nil {
		return false
	}
	select {
	case t.taken <- struct{}{}:
		return true
	default:
	}
	timer := t.clock.NewTimer()
	defer timer.Stop()
	now := t.clock.Now()
	timer.Set(now, now.Add(patience))
	select {
	case t.taken <- struct{}{}:
		return true
	case <-timer.C():
		return false
	}
}

// Give ends a turn.
func (t *Turns) Give() { <-t.taken }
