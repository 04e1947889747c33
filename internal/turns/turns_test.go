package turns_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/turns"
)

// Half of the processors are left to others, and there is at least one turn.
func TestTake(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		all := turns.New(clock.Go())
		n := max(1, runtime.GOMAXPROCS(0)/2)
		for range n {
			require.True(t, all.Take())
		}
		taken := make(chan bool)
		go func() { taken <- all.Take() }()
		synctest.Wait()
		require.Empty(t, taken)
		all.Give()
		require.True(t, <-taken)
		for range n {
			all.Give()
		}
	})
}

// A goroutine that keeps its turn does not stop others.
func TestTake_Patience(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		all := turns.New(clock.Go())
		for range max(1, runtime.GOMAXPROCS(0)/2) {
			require.True(t, all.Take())
		}
		began := time.Now()
		require.False(t, all.Take())
		require.Equal(t, 20*time.Millisecond, time.Since(began))
	})
}

// Nil turns limit nothing.
func TestTake_Nil(t *testing.T) {
	t.Parallel()
	var none *turns.Turns
	require.False(t, none.Take())
}
