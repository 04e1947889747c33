package bench

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkMerge measures how long merges of a large store delay the pairs of 16 clients. The store contains held
// semaphores. "longest" is the longest time that a pair took. Without semaphores, merges have nothing to do, so that
// case shows the delays that the machine causes.
func BenchmarkMerge(b *testing.B) {
	counts := heldCounts()
	for _, n := range []int{0, counts[len(counts)-1]} {
		b.Run(fmt.Sprintf("held=%d", n), func(b *testing.B) {
			dir := filled(b, n)
			window := 10 * time.Second
			if testing.Short() {
				window = 20 * time.Millisecond
			}
			s := startTenure(b, "--data", dir)
			l := startLoad(b, "tenure-streams", s.addr, crowd{clients: 16})
			defer l.stop(b)
			var longest, p99 time.Duration
			for range b.N {
				r := l.run(b, window)
				longest, p99 = max(longest, r.Longest), max(p99, r.P99)
			}
			if !testing.Short() {
				snapshots, err := filepath.Glob(filepath.Join(dir, "*.snapshot"))
				require.NoError(b, err)
				require.NotEmpty(b, snapshots, "there was no merge")
			}
			require.NotZero(b, longest)
			b.ReportMetric(0, "ns/op") // is the fixed time
			b.ReportMetric(float64(longest), "longest-ns")
			b.ReportMetric(float64(p99), "p99-ns")
		})
	}
}
