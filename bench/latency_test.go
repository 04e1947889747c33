package bench

import (
	"slices"
	"testing"
	"time"
)

// reportLatency adds the p50 and p99 of the samples to the benchmark's results.
func reportLatency(b *testing.B, samples []time.Duration) {
	b.Helper()
	slices.Sort(samples)
	b.ReportMetric(float64(quantile(samples, 50)), "p50-ns")
	b.ReportMetric(float64(quantile(samples, 99)), "p99-ns")
}

// quantile returns the smallest sample that at least q percent of the sorted samples do not exceed.
func quantile(sorted []time.Duration, q int) time.Duration {
	return sorted[max(0, (len(sorted)*q+99)/100-1)]
}
