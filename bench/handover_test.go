package bench

import (
	"crypto/rand"
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

// queue is a holder of a semaphore and its waiters. It uses one goroutine, which answers the pings of a session only
// when the session's turn comes. That is before the second ping as long as a round over all sessions takes less than
// 5s (P1, P2).
type queue struct {
	semaphore string
	sessions  []*session // the holder, then the waiters in order
	turn      int        // the index of the holder
}

// queueUp makes a queue for a semaphore that nobody else has used.
func queueUp(b *testing.B, c *client, path string, waiters int) *queue {
	b.Helper()
	q := &queue{semaphore: rand.Text(), sessions: make([]*session, waiters+1)}
	for i := range q.sessions {
		s, err := c.attachTo(path, 0, time.Minute)
		require.NoError(b, err)
		q.sessions[i] = s
	}
	require.NoError(b, q.sessions[0].acquire(q.semaphore))
	for _, s := range q.sessions[1:] {
		require.NoError(b, s.sendAcquire(q.semaphore))
		require.NoError(b, s.awaitPending())
	}

	return q
}

// next hands the semaphore over, and returns how long it took. Then the old holder queues again.
func (q *queue) next(b *testing.B) time.Duration {
	b.Helper()
	holder := q.sessions[q.turn]
	q.turn = (q.turn + 1) % len(q.sessions)
	start := time.Now()
	require.NoError(b, holder.sendRelease(q.semaphore))
	require.NoError(b, q.sessions[q.turn].awaitAcquired())
	took := time.Since(start)
	require.NoError(b, holder.awaitReleased())
	require.NoError(b, holder.sendAcquire(q.semaphore))
	require.NoError(b, holder.awaitPending())

	return took
}

func benchmarkHandover(b *testing.B, c *client, n int) {
	b.Helper()
	q := queueUp(b, c, nodePath, n)
	var samples []time.Duration
	var o bounds
	o.measure(b)
	for b.Loop() {
		samples = append(samples, q.next(b))
	}
	b.ReportMetric(0, "ns/op") // would include the queueing
	benchtest.ReportLatency(b, samples)
	o.measure(b)
	b.ReportMetric(float64(benchtest.Quantile(samples, 50))/float64(o.sum()), "p50-multiple")
	b.ReportMetric(float64(benchtest.Quantile(samples, 99))/float64(o.sum()), "p99-multiple")
}
