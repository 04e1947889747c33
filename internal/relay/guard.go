package relay

import (
	"sync"
	"sync/atomic"

	"tenure/internal/clock"
)

// guard notices that a client does not read.
type guard struct {
	busy atomic.Int64 // since when a message is being sent to the client, as a clock.Instant; 0: none is

	mu    sync.Mutex // guards the rest
	alarm clock.Timer
	over  bool
}

// start makes the guard close f.stalled if a message takes too long.
func (g *guard) start(f *forward) {
	clk := f.call.Clock
	look := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.over {
			return
		}
		now, since := clk.Now(), clock.Instant(g.busy.Load())
		switch {
		case since == 0:
			since = now
		case now.Sub(since) >= Stall:
			g.over = true
			g.alarm.Stop()
			close(f.stalled)

			return
		}
		g.alarm.Set(now, since.Add(Stall))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alarm = clk.NewAlarm(look)
	now := clk.Now()
	g.alarm.Set(now, now.Add(Stall))
}

func (g *guard) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	g.alarm.Stop()
}
