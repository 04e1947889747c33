package benchtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/bench/benchtest"
)

// A stall is at least a millisecond long, and has ended before Stalls returns.
func TestStalls(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	for _, s := range benchtest.Stalls(ctx) {
		require.GreaterOrEqual(t, s.End.Sub(s.Begin), time.Millisecond)
		require.False(t, s.Begin.Before(began))
	}
	require.Error(t, ctx.Err())
}
