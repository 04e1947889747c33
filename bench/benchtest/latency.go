// Package benchtest contains what the benchmarks of this module share.
package benchtest

import (
	"slices"
	"testing"
	"time"
)

// ReportLatency adds the p50 and p99 of the samples to the benchmark's results. It sorts the samples.
func ReportLatency(b *testing.B, samples []time.Duration) {
	b.Helper()
	slices.Sort(samples)
	b.ReportMetric(float64(Quantile(samples, 50)), "p50-ns")
	b.ReportMetric(float64(Quantile(samples, 99)), "p99-ns")
}

// Quantile returns the smallest sample that at least q percent of the sorted samples do not exceed, or 0 if there are
// no samples.
func Quantile(sorted []time.Duration, q int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}

	return sorted[max(0, (len(sorted)*q+99)/100-1)]
}
