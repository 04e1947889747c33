package printable_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/printable"
)

func TestCount(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0 sessions", printable.Count(0, "session", "sessions"))
	require.Equal(t, "1 session", printable.Count(1, "session", "sessions"))
	require.Equal(t, "999 sessions", printable.Count(uint64(999), "session", "sessions"))
	require.Equal(t, "1,234,567 sessions", printable.Count(int64(1234567), "session", "sessions"))
	require.Equal(t, "18,446,744,073,709,551,615", printable.Number(uint64(math.MaxUint64)))
	require.Equal(t, "-1,000", printable.Number(-1000))
}
