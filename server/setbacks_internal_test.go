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
	for _, seconds := range []time.Duration{2, 4, 8, 16, 32, 60, 60} {
		fail(seconds * time.Second)
	}
	s.worked("a")
	fail(2 * time.Second)
}
