package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkStartup measures the time from the start of the server's process to the answer to an attach. The store
// contains held semaphores, 100 for each session.
func BenchmarkStartup(b *testing.B) {
	for _, n := range []int{0, size(100_000)} {
		b.Run(fmt.Sprintf("held=%d", n), func(b *testing.B) {
			dir := b.TempDir()
			fill(b, dir, n)
			for b.Loop() {
				h := startHost(b, disk, dir)
				s, err := dial(b, h.addr).attach(1, time.Hour/2)
				require.NoError(b, err)
				b.StopTimer()
				s.cancel()
				h.stop(b)
				b.StartTimer()
			}
		})
	}
}

func fill(b *testing.B, dir string, held int) {
	b.Helper()
	const each = 100
	h := startHost(b, disk, dir)
	defer h.stop(b)
	c := dial(b, h.addr)
	for i := range max(1, held/each) {
		s, err := c.attach(0, time.Hour/2)
		require.NoError(b, err)
		if held > 0 {
			require.NoError(b, s.hold(i*each, min(held, each)))
		}
		s.cancel()
	}
}
