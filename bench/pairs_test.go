package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Rates per second of the bounds that this run measured last. BenchmarkPairs reports its rates as ratios to them.
var (
	barePairs  = map[int]float64{} // by the number of sessions
	fdatasyncs float64
)

func sessionCounts() []int {
	if testing.Short() {
		return []int{1, 4}
	}

	return []int{1, 16, 64, 256}
}

// BenchmarkFdatasync appends as many bytes to a file as a hand-over writes, and syncs the file.
func BenchmarkFdatasync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	require.NoError(b, err)
	defer f.Close()
	record := make([]byte, 64)
	var samples []time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := f.Write(record); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		samples = append(samples, time.Since(start))
	}
	fdatasyncs = float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(fdatasyncs, "syncs/s")
	reportLatency(b, samples)
}

// BenchmarkPairs lets each session acquire and release its own semaphore as fast as it can. All sessions share one
// connection. A latency is the time for an acquire and a release.
func BenchmarkPairs(b *testing.B) {
	for _, k := range []kind{bare, memory, disk} {
		for _, n := range sessionCounts() {
			b.Run(fmt.Sprintf("store=%s/sessions=%d", k, n), func(b *testing.B) {
				h := startHost(b, k, b.TempDir())
				defer h.stop(b)
				rate := benchmarkPairs(b, h, n)
				if k == bare {
					barePairs[n] = rate

					return
				}
				b.ReportMetric(rate/barePairs[n], "of-bare")
				if fdatasyncs > 0 {
					b.ReportMetric(rate/fdatasyncs, "per-sync")
				}
			})
		}
	}
}

func benchmarkPairs(b *testing.B, h *host, n int) (rate float64) {
	b.Helper()
	c := dial(b, h.addr)
	sessions := make([]*session, n)
	for i := range sessions {
		var err error
		sessions[i], err = c.attach(0, time.Minute)
		require.NoError(b, err)
	}
	samples := make([][]time.Duration, n)
	var left atomic.Int64
	left.Store(int64(b.N))
	var g errgroup.Group
	before := h.usage(b)
	b.ResetTimer()
	for i, s := range sessions {
		g.Go(func() error {
			semaphore := "own-" + strconv.Itoa(i)
			for left.Add(-1) >= 0 {
				start := time.Now()
				if err := s.acquire(semaphore); err != nil {
					return err
				}
				if err := s.release(semaphore); err != nil {
					return err
				}
				samples[i] = append(samples[i], time.Since(start))
			}

			return nil
		})
	}
	require.NoError(b, g.Wait())
	b.StopTimer()
	var all []time.Duration
	for _, s := range samples {
		all = append(all, s...)
	}
	rate = float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "pairs/s")
	b.ReportMetric(float64(h.usage(b).CPU-before.CPU)/float64(b.N), "server-cpu-ns/pair")
	reportLatency(b, all)

	return rate
}
