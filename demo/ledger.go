package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tenure/internal/clock"
)

// blur is the error in the times of lines. The lines of two processes come through two pipes, so the demo may read them
// in the wrong order. An overlap of two holds that is shorter than blur proves nothing.
const blur = 50 * time.Millisecond

// A hold is the time during which a process said that it held something.
type hold struct {
	what, who string
	from, to  clock.Instant // to is zero until the hold ends
}

// A ledger records which process held what, and when. It is safe for use by several goroutines.
type ledger struct {
	mu      sync.Mutex    // guards the fields below
	holds   []hold        // in the order of their beginnings
	changed chan struct{} // closed, and replaced, at each change
}

func newLedger() *ledger { return &ledger{changed: make(chan struct{})} }

func (l *ledger) begin(what, who string, at clock.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds = append(l.holds, hold{what: what, who: who, from: at})
	l.wake()
}

// end ends the holds for which match is true.
func (l *ledger) end(at clock.Instant, match func(hold) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.holds {
		if h := &l.holds[i]; h.to == 0 && match(*h) {
			h.to = at
		}
	}
	l.wake()
}

func (l *ledger) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// now returns the holds that have not ended.
func (l *ledger) now() []hold {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.current()
}

func (l *ledger) current() (current []hold) {
	for _, h := range l.holds {
		if h.to == 0 {
			current = append(current, h)
		}
	}

	return current
}

// await waits until wanted returns true for the holds that have not ended, and returns them.
func (l *ledger) await(ctx context.Context, what string, wanted func([]hold) bool) ([]hold, error) {
	for {
		l.mu.Lock()
		current, changed := l.current(), l.changed
		l.mu.Unlock()
		if wanted(current) {
			return current, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("await %s: %w", what, context.Cause(ctx))
		}
	}
}

// contested returns two holds of the same thing by different processes at the same time, if there are any.
func (l *ledger) contested() (a, b hold, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, b := range l.holds {
		for _, a := range l.holds[:i] {
			if a.what == b.what && a.who != b.who && (a.to == 0 || a.to.Sub(b.from) > blur) {
				return a, b, true
			}
		}
	}

	return a, b, false
}

// count returns the number of holds, past and present, for which match is true.
func (l *ledger) count(match func(hold) bool) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.holds {
		if match(h) {
			n++
		}
	}

	return n
}
