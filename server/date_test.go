package server_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
)

// wallClock is a clock whose dates somebody sets.
type wallClock struct {
	clock.Clock

	step atomic.Int64
}

func (c *wallClock) Time(i clock.Instant) time.Time {
	return c.Clock.Time(i).Add(time.Duration(c.step.Load()))
}

// Setting the date changes neither when a session ends nor that one which is alive goes on. The linter lets no package
// but internal/clock read the date in any other way.
func TestServer_DateIsSet(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]time.Duration{"back": -24 * time.Hour, "ahead": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubbletest.Test(t, func(t *testing.T) {
				clk := &wallClock{Clock: clock.Go()}
				h := serve(t, withClock(clk))
				s, next := h.attach(t, 0, 5*time.Second), h.attach(t, 0, 5*time.Second)
				s.requireAcquired("job")
				next.requirePending("job")
				s.cancel()
				began := time.Now()
				clk.step.Store(int64(step))
				require.True(t, next.recv().GetAcquireSemaphoreResult().GetAcquired())
				require.Equal(t, 5*time.Second, time.Since(began))
				clk.step.Store(0)
				next.requireReleased("job")
			})
		})
	}
}
