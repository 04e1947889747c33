package metrics

import (
	"slices"
	"strconv"
	"time"
)

// The upper bounds of the buckets of a histogram: 1 ms to 70 min.
const (
	firstBound  = 0.001
	boundFactor = 4
	bounds      = 12
)

// A Histogram counts durations. The zero value is empty. It is not safe for concurrent use.
type Histogram struct {
	buckets [bounds + 1]uint64 // the last one is for durations above the highest bound
	sum     float64            // in seconds
}

// Observe adds a duration.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	for bound := firstBound; i < bounds && d.Seconds() > bound; i++ {
		bound *= boundFactor
	}
	h.buckets[i]++
	h.sum += d.Seconds()
}

// samples adds the samples of the histogram.
func (h *Histogram) samples(t *Text, labels []Label) {
	bound, total := firstBound, uint64(0)
	bucket := func(le string) {
		t.sample("_bucket", float64(total), append(slices.Clip(labels), Label{"le", le})...)
	}
	for _, n := range h.buckets[:bounds] {
		total += n
		bucket(strconv.FormatFloat(bound, 'g', -1, 64))
		bound *= boundFactor
	}
	total += h.buckets[bounds]
	bucket("+Inf")
	t.sample("_sum", h.sum, labels...)
	t.sample("_count", float64(total), labels...)
}
