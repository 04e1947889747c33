package serverstats

import "math"

// Bounds are the upper bounds of the classic buckets: 1 ms to 70 min, as in the metrics of lock and workers. They also
// serve for numbers of requests, from 1 to 4,194,304 thousandths.
var Bounds = [...]float64{
	0.001, 0.004, 0.016, 0.064, 0.256, 1.024, 4.096, 16.384, 65.536, 262.144, 1048.576, 4194.304,
}

// Schema is the resolution of the native buckets: two for each power of two.
const Schema = 1

// The native buckets have the indexes First to Last. Values up to ZeroThreshold are in the zero bucket.
const (
	First         = -39
	Last          = 50
	ZeroThreshold = 1. / (1 << 20)
)

// Histogram counts values in classic and in native buckets of Prometheus. The zero value is empty. It is not safe for
// concurrent use.
type Histogram struct {
	Count   uint64
	Sum     float64
	Classic [len(Bounds)]uint64 // not cumulative; values above the last bound are only in Count
	Zero    uint64
	Native  [Last - First + 1]uint32
}

// Observe adds a value.
func (h *Histogram) Observe(v float64) {
	h.Count++
	h.Sum += v
	for i, bound := range Bounds {
		if v <= bound {
			h.Classic[i]++

			break
		}
	}
	if v <= ZeroThreshold {
		h.Zero++

		return
	}
	h.Native[min(max(nativeIndex(v), First), Last)-First]++
}

// nativeIndex returns the index of the bucket of a positive value. Bucket i has the values above 2^((i-1)/2), up to
// 2^(i/2).
func nativeIndex(v float64) int {
	frac, exp := math.Frexp(v) // v = frac * 2^exp, and 0.5 <= frac < 1
	switch {
	case frac == 0.5:
		return 2*exp - 2
	case frac <= math.Sqrt2/2:
		return 2*exp - 1
	default:
		return 2 * exp
	}
}

// Add adds the values of another histogram.
func (h *Histogram) Add(o *Histogram) {
	h.Count += o.Count
	h.Sum += o.Sum
	h.Zero += o.Zero
	for i, n := range o.Classic {
		h.Classic[i] += n
	}
	for i, n := range o.Native {
		h.Native[i] += n
	}
}

// Since returns the values that have been added since o was a copy of the histogram.
func (h *Histogram) Since(o *Histogram) *Histogram {
	if o.Count > h.Count { // a node has been loaded again, and has begun again
		return h
	}
	d := &Histogram{Count: h.Count - o.Count, Sum: max(0, h.Sum-o.Sum), Zero: h.Zero - min(h.Zero, o.Zero)}
	for i, n := range h.Classic {
		d.Classic[i] = n - min(n, o.Classic[i])
	}
	for i, n := range h.Native {
		d.Native[i] = n - min(n, o.Native[i])
	}

	return d
}

// Quantile returns the value below which the share q of the values is, or 0 if there are none. A value between the
// bounds of a native bucket is estimated, and is wrong by less than the factor of the square root of two.
func (h *Histogram) Quantile(q float64) float64 {
	rank := q * float64(h.Count)
	below := float64(h.Zero)
	if h.Count == 0 || rank <= below {
		return 0
	}
	for i, n := range h.Native {
		if n > 0 && below+float64(n) >= rank {
			return math.Exp2((float64(i+First-1) + (rank-below)/float64(n)) / 2)
		}
		below += float64(n)
	}

	return math.Exp2(Last / 2.) // the buckets and the count do not agree
}
