package bench

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/bench/benchtest"
)

// BenchmarkIdleClient measures what idle sessions cost the process of their client: memory for each, and CPU time per
// second for all. Each session holds its own lock, and renews its lease four times per session timeout, which is 10 s.
// The server is in another process. All sessions share one connection.
func BenchmarkIdleClient(b *testing.B) {
	n, watched := size(10_000), 20*time.Second
	if testing.Short() {
		watched = time.Second
	}
	for range b.N {
		h := startHost(b, memory, b.TempDir())
		c := openClient(b, h.addr)
		before := measure()
		holdEach(b, c, n)
		after := measure()
		time.Sleep(watched)
		spent := benchtest.ProcessorTime() - after.CPU
		grown := after.since(before)
		b.ReportMetric(grown.resident/float64(n), "resident-B/session")
		b.ReportMetric(grown.live/float64(n), "live-B/session")
		b.ReportMetric(float64(after.Goroutines-before.Goroutines)/float64(n), "goroutines/session")
		b.ReportMetric(float64(spent.Microseconds())/1e3/watched.Seconds(), "cpu-ms/s")
		b.ReportMetric(0, "ns/op")
		require.NoError(b, c.Close(context.Background())) //nolint:usetesting // not bound to the test
		h.stop(b)
	}
}
