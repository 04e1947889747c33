package bench

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"tenure/bench/benchtest"
)

// BenchmarkFdatasync appends 512 bytes to a file and syncs the file.
func BenchmarkFdatasync(b *testing.B) {
	sync := syncer(b)
	var samples []time.Duration
	for b.Loop() {
		samples = append(samples, timed(b, sync))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
	benchtest.ReportLatency(b, samples)
}

// BenchmarkEcho sends a message on a bare gRPC stream and waits for the answer.
func BenchmarkEcho(b *testing.B) {
	echo := echoer(b)
	var samples []time.Duration
	for b.Loop() {
		samples = append(samples, timed(b, echo))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "echoes/s")
	benchtest.ReportLatency(b, samples)
}

// syncer returns a function that appends 512 bytes to a file and syncs the file.
func syncer(b *testing.B) func() error {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	require.NoError(b, err)
	b.Cleanup(func() { _ = f.Close() })
	record := make([]byte, 512)

	return func() error {
		if _, err := f.Write(record); err != nil {
			return err
		}

		return unix.Fdatasync(int(f.Fd()))
	}
}

// echoer returns a function that sends a message on a stream to a bare server and waits for the answer.
func echoer(b *testing.B) func() error {
	b.Helper()
	h := startHost(b, bare, "")
	b.Cleanup(func() { h.stop(b) })
	s, err := dial(b, h.addr).attach(0, time.Minute)
	require.NoError(b, err)

	return func() error { return s.acquire("echo") }
}

func timed(b *testing.B, f func() error) time.Duration {
	b.Helper()
	start := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}

	return time.Since(start)
}

// bounds are the medians of the times that an echo and an fdatasync take. A benchmark whose result is a multiple of
// them measures them immediately before and after the rest.
type bounds struct{ echo, sync []time.Duration }

func (o *bounds) measure(b *testing.B) {
	b.Helper()
	b.StopTimer()
	defer b.StartTimer()
	n := 1_000
	if testing.Short() {
		n = 1
	}
	echo, sync := echoer(b), syncer(b)
	for range n {
		o.echo = append(o.echo, timed(b, echo))
		o.sync = append(o.sync, timed(b, sync))
	}
}

// sum returns the time that an echo and an fdatasync take together.
func (o *bounds) sum() time.Duration {
	slices.Sort(o.echo)
	slices.Sort(o.sync)

	return benchtest.Quantile(o.echo, 50) + benchtest.Quantile(o.sync, 50)
}
