package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// heldCounts are numbers of semaphores in a store. A node can have 1,000,000, some of which the clients of
// BenchmarkMerge need.
func heldCounts() []int {
	if testing.Short() {
		return []int{0, 1_000}
	}

	return []int{0, 100_000, 990_000}
}

// BenchmarkStartup measures the time from the start of tenure serve to the answer to an attach, and the memory for each
// semaphore in the store, compared to a server without any. They are held, 1,000 by each session.
func BenchmarkStartup(b *testing.B) {
	var empty usage
	var emptyResident int64
	for _, n := range heldCounts() {
		b.Run(fmt.Sprintf("held=%d", n), func(b *testing.B) {
			dir := filled(b, n)
			u := loadedUsage(b, dir)
			var residents int64
			for b.Loop() {
				s := startTenure(b, "--data", dir)
				attached, err := dial(b, s.addr).attach(1, time.Hour/2)
				require.NoError(b, err)
				b.StopTimer()
				now, err := resident(s.pid)
				require.NoError(b, err)
				residents += now
				attached.cancel()
				s.stop()
				b.StartTimer()
			}
			residents /= int64(b.N)
			if n == 0 {
				empty, emptyResident = u, residents

				return
			}
			grown := u.since(empty)
			b.ReportMetric(grown.live/float64(n), "live-B/each")
			b.ReportMetric(grown.resident/float64(n), "resident-B/each")
			b.ReportMetric(float64(residents-emptyResident)/float64(n), "serve-resident-B/each")
		})
	}
}

// loadedUsage returns the usage of a server that has loaded the store. A server merges the log soon after its start,
// which takes memory while it lasts, so this is the least usage in some seconds.
func loadedUsage(b *testing.B, dir string) usage {
	b.Helper()
	h := startHost(b, disk, dir)
	defer h.stop(b)
	s, err := dial(b, h.addr).attach(1, time.Hour/2)
	require.NoError(b, err)
	defer s.cancel()

	least := h.usage(b)
	for begun := time.Now(); time.Since(begun) < settling && !testing.Short(); time.Sleep(settling / 20) {
		if u := h.usage(b); u.since(least).live < 0 {
			least = u
		}
	}

	return least
}

// settling is longer than a merge of a full node takes.
const settling = 4 * time.Second

// filled returns a directory with a store in which semaphores are held. The benchmarks of a process share it, because
// filling it takes long.
func filled(b *testing.B, held int) string {
	b.Helper()
	dir := filepath.Join(programs.dir, fmt.Sprintf("held-%d", held))
	_, err := os.Stat(dir)
	if err == nil {
		return dir
	}
	const each = 1_000
	filling := dir + "-unfinished"
	require.NoError(b, os.RemoveAll(filling))
	h := startHost(b, disk, filling)
	c := dial(b, h.addr)
	for i := range max(1, held/each) {
		s, err := c.attach(0, time.Hour/2)
		require.NoError(b, err)
		if held > 0 {
			require.NoError(b, s.hold(i*each, min(held, each)))
		}
		s.cancel()
	}
	h.stop(b)
	require.NoError(b, os.Rename(filling, dir))

	return dir
}
