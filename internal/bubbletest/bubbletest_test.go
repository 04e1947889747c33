package bubbletest_test

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
)

// Many goroutines receive from timers at the moment when the bubble's root goroutine runs these timers. With the race
// detector of Go 1.26 on two processors, this crashes in about half of the runs.
func TestTest_TimersThatMeet(t *testing.T) {
	for range 300 {
		bubbletest.Test(t, func(*testing.T) {
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					timer := time.NewTimer(time.Second + time.Duration(i))
					for range 50 {
						time.Sleep(time.Second)
						select {
						case <-timer.C:
						default:
						}
						timer.Reset(time.Second)
					}
				})
			}
			all.Wait()
		})
	}
}

func TestTest_RestoresProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	t.Run("overlapping", func(t *testing.T) {
		for range 10 {
			t.Run("bubble", func(t *testing.T) {
				t.Parallel()
				bubbletest.Test(t, func(*testing.T) { time.Sleep(time.Hour) })
			})
		}
	})
	require.Equal(t, before, runtime.GOMAXPROCS(0))
}
