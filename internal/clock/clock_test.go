package clock_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
)

func TestInstant_AddSaturates(t *testing.T) {
	t.Parallel()
	require.Equal(t, clock.Instant(3), clock.Instant(1).Add(2))
	require.Equal(t, clock.Instant(1), clock.Instant(3).Add(-2))
	require.Equal(t, clock.Instant(math.MaxInt64), clock.Instant(math.MaxInt64-1).Add(time.Hour))
	require.Equal(t, time.Duration(2), clock.Instant(3).Sub(1))
}

// Both clocks advance, are never zero, and report the date of an instant.
func TestClock_Now(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]clock.Clock{"system": clock.System(), "go": clock.Go()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, date := c.Now(), time.Now()
			require.Positive(t, before)
			timer := c.NewTimer()
			defer timer.Stop()
			timer.Set(before, before.Add(20*time.Millisecond))
			<-timer.C()
			require.GreaterOrEqual(t, c.Now().Sub(before), 20*time.Millisecond)
			require.WithinDuration(t, date.Add(time.Hour), c.Time(before.Add(time.Hour)), time.Second)
		})
	}
}

// A timer rings once for each Set, immediately if the instant is past. A later Set or Stop cancels an earlier one.
func TestTimer(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		c := clock.Go()
		timer := c.NewTimer()
		start := c.Now()
		rings := func() bool {
			synctest.Wait()
			select {
			case <-timer.C():
				return true
			default:
				return false
			}
		}

		time.Sleep(2 * time.Hour)
		require.False(t, rings(), "it was not set")
		timer.Set(c.Now(), start)
		require.True(t, rings(), "the instant was past")
		require.False(t, rings(), "once")

		timer.Set(c.Now(), c.Now().Add(time.Second))
		time.Sleep(time.Second)
		timer.Set(c.Now(), c.Now().Add(time.Minute)) // the previous ring has not been received
		require.False(t, rings())
		time.Sleep(time.Minute)
		require.True(t, rings())

		timer.Set(c.Now(), c.Now().Add(time.Second))
		timer.Stop()
		time.Sleep(time.Hour)
		require.False(t, rings())
	})
}

// A pause lasts as long as it should, unless its context ends.
func TestPause(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		began := time.Now()
		require.True(t, clock.Pause(t.Context(), clock.Go(), time.Hour))
		require.Equal(t, time.Hour, time.Since(began))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		require.False(t, clock.Pause(ctx, clock.Go(), time.Hour))
		require.Equal(t, time.Minute, time.Since(began))
	})
}
