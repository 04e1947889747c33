package clock

import (
	"context"
	"time"
)

// Pause waits for d by the clock and reports whether ctx has not ended by then.
func Pause(ctx context.Context, c Clock, d time.Duration) bool {
	timer := c.NewTimer()
	defer timer.Stop()
	now := c.Now()
	timer.Set(now, now.Add(d))
	select {
	case <-timer.C():
	case <-ctx.Done():
	}

	return ctx.Err() == nil
}
