package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/bench/benchtest"
)

func waiterCounts() []int {
	if testing.Short() {
		return []int{2}
	}

	return []int{2, 128, 1_000}
}

// BenchmarkHandover measures the time from the holder's call to release until the next holder's acquire returns, on one
// semaphore with many waiters. The old holder queues again before the next hand-over starts. The benchmark also reports
// the p50 and the p99 as multiples of the time that an echo and an fdatasync take.
func BenchmarkHandover(b *testing.B) {
	for _, k := range []kind{memory, disk} {
		for _, n := range waiterCounts() {
			b.Run(fmt.Sprintf("store=%s/waiting=%d", k, n), func(b *testing.B) {
				h := startHost(b, k, b.TempDir())
				defer h.stop(b)
				benchmarkHandover(b, dial(b, h.addr), n)
			})
		}
	}
}

// benchmarkHandover uses one goroutine. It answers the pings of a session only when the session's turn comes. That is
// before the second ping as long as a round over all sessions takes less than 5s (P1, P2).
func benchmarkHandover(b *testing.B, c *client, n int) {
	b.Helper()
	const semaphore = "handed"
	queue := make([]*session, n+1) // the holder, then the waiters in order
	for i := range queue {
		s, err := c.attach(0, time.Minute)
		require.NoError(b, err)
		queue[i] = s
	}
	require.NoError(b, queue[0].acquire(semaphore))
	for _, s := range queue[1:] {
		require.NoError(b, s.sendAcquire(semaphore))
		require.NoError(b, s.awaitPending())
	}
	var samples []time.Duration
	var o bounds
	o.measure(b)
	for i := 0; b.Loop(); i++ {
		holder, next := queue[i%len(queue)], queue[(i+1)%len(queue)]
		start := time.Now()
		require.NoError(b, holder.sendRelease(semaphore))
		require.NoError(b, next.awaitAcquired())
		samples = append(samples, time.Since(start))
		require.NoError(b, holder.awaitReleased())
		require.NoError(b, holder.sendAcquire(semaphore))
		require.NoError(b, holder.awaitPending())
	}
	b.ReportMetric(0, "ns/op") // would include the queueing
	benchtest.ReportLatency(b, samples)
	o.measure(b)
	b.ReportMetric(float64(benchtest.Quantile(samples, 50))/float64(o.sum()), "p50-multiple")
	b.ReportMetric(float64(benchtest.Quantile(samples, 99))/float64(o.sum()), "p99-multiple")
}
