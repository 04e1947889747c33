package logs

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/bench/benchtest"
)

// BenchmarkSize reports by how much each log makes a program larger that does nothing else but print.
func BenchmarkSize(b *testing.B) {
	if testing.Short() {
		b.Skip("building takes long")
	}
	size := func(b *testing.B, of string) float64 {
		b.Helper()
		n, err := benchtest.Build(".", "./size/"+of, filepath.Join(b.TempDir(), of))
		require.NoError(b, err)

		return float64(n)
	}
	for _, c := range candidates() {
		if c.size == "none" {
			continue
		}
		b.Run("log="+c.name, func(b *testing.B) {
			for range b.N {
				b.ReportMetric(size(b, c.size)-size(b, "none"), "added-B")
			}
			b.ReportMetric(0, "ns/op") // depends on the build cache
		})
	}
}
