package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
)

// One failure costs a server two seconds, and more of them up to a minute. A success ends that.
func TestSetbacks(t *testing.T) {
	t.Parallel()
	s, now := make(setbacks), clock.Instant(time.Hour)
	require.True(t, s.over("a", now))
	fail := func(pause time.Duration) {
		t.Helper()
		s.failed("a", now)
		require.False(t, s.over("a", now.Add(pause-1)))
		require.True(t, s.over("b", now))
		now = now.Add(pause)
		require.True(t, s.over("a", now))
	}
	for pause := 2 * time.Second; pause < time.Minute; pause *= 2 {
		fail(pause)
	}
	fail(time.Minute)
	fail(time.Minute)
	s.worked("a")
	fail(2 * time.Second)
}

// A server that is gone is forgotten, and one that has failed within ten minutes is not.
func TestSetbacks_Forget(t *testing.T) {
	t.Parallel()
	s, now := make(setbacks), clock.Instant(time.Hour)
	s.failed("gone", now)
	s.failed("a", now.Add(time.Second))
	now = now.Add(forgottenSetback + time.Second)
	s.failed("b", now)
	require.NotContains(t, s, "gone")
	require.Contains(t, s, "a")
	require.Contains(t, s, "b")
}
