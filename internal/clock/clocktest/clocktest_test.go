package clocktest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/clock/clocktest"
)

func rings(timer clock.Timer) bool {
	select {
	case <-timer.C():
		return true
	default:
		return false
	}
}

// Step stops at each instant at which a timer rings, and then at the limit.
func TestClock_Step(t *testing.T) {
	t.Parallel()
	c := clocktest.New()
	start := c.Now()
	first, second, unset := c.NewTimer(), c.NewTimer(), c.NewTimer()
	second.Set(start, start.Add(2*time.Hour))
	first.Set(start, start.Add(time.Hour))
	unset.Set(start, start.Add(time.Hour))
	unset.Stop()
	limit := start.Add(3 * time.Hour)

	require.False(t, c.Step(limit))
	require.True(t, rings(first))
	require.False(t, rings(second))
	require.InDelta(t, time.Hour, c.Now().Sub(start), float64(time.Minute))
	first.Stop()

	require.False(t, c.Step(limit))
	require.True(t, rings(second))
	second.Stop()

	require.True(t, c.Step(limit))
	require.False(t, rings(first) || rings(second) || rings(unset))
	require.GreaterOrEqual(t, c.Now(), limit)
}

// Settle waits for the owner of a timer that has rung, whether the ring has been received or not.
func TestClock_Settle(t *testing.T) {
	t.Parallel()
	c := clocktest.New()
	timer := c.NewTimer()
	require.NoError(t, c.Settle(t.Context()))
	now := c.Now()
	timer.Set(now, now.Add(time.Hour))
	c.Step(now.Add(time.Hour))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Settle(ctx), context.Canceled)
	<-timer.C()
	require.ErrorIs(t, c.Settle(ctx), context.Canceled)
	timer.Set(c.Now(), c.Now().Add(time.Hour))
	require.NoError(t, c.Settle(t.Context()))
	require.False(t, rings(timer))
}

// Without Step, timers ring in real time.
func TestClock_RealTime(t *testing.T) {
	t.Parallel()
	c := clocktest.New()
	timer := c.NewTimer()
	now := c.Now()
	timer.Set(now, now.Add(10*time.Millisecond))
	<-timer.C()
	require.GreaterOrEqual(t, c.Now().Sub(now), 10*time.Millisecond)
	timer.Stop()
	require.WithinDuration(t, time.Now(), c.Time(c.Now()), time.Minute)
}

// An alarm calls its function, and is pending until it is set or stopped.
func TestClock_Alarm(t *testing.T) {
	t.Parallel()
	c := clocktest.New()
	rung := make(chan struct{})
	alarm := c.NewAlarm(func() { close(rung) })
	require.Nil(t, alarm.C())
	now := c.Now()
	alarm.Set(now, now.Add(time.Hour))
	c.Step(now.Add(time.Hour))
	<-rung
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Settle(ctx), context.Canceled)
	alarm.Stop()
	require.NoError(t, c.Settle(t.Context()))
}
