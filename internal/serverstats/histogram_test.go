package serverstats_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/serverstats"
)

// Each value is in the classic and in the native bucket whose bounds enclose it.
func TestHistogram(t *testing.T) {
	t.Parallel()
	for _, v := range []float64{
		0, 1e-9, serverstats.ZeroThreshold, 2e-6, 0.001, 0.0011, 0.25, 0.5, math.Sqrt2 / 2, 0.71, 1, 1.1, 2, 3, 4, 4194.304,
		5000, 1e12,
	} {
		var h serverstats.Histogram
		h.Observe(v)
		require.EqualValues(t, 1, h.Count)
		require.Equal(t, v, h.Sum)
		classic := uint64(0)
		for i, n := range h.Classic {
			if classic += n; n > 0 {
				require.LessOrEqual(t, v, serverstats.Bounds[i])
				require.True(t, i == 0 || v > serverstats.Bounds[i-1], "%v", v)
			}
		}
		require.Equal(t, v <= 4194.304, classic == 1, "%v", v)
		if v <= serverstats.ZeroThreshold {
			require.EqualValues(t, 1, h.Zero)

			continue
		}
		for i, n := range h.Native {
			if n > 0 && v < math.Exp2(serverstats.Last/2.) {
				index := float64(i + serverstats.First)
				require.LessOrEqual(t, v, math.Exp2(index/2)*(1+1e-12), "%v in %v", v, index)
				require.Greater(t, v, math.Exp2((index-1)/2)*(1-1e-12), "%v in %v", v, index)
			}
		}
		var sum serverstats.Histogram
		sum.Add(&h)
		sum.Add(&h)
		require.EqualValues(t, 2, sum.Count)
	}
}

// A quantile is within the bucket of the value that has the rank.
func TestHistogram_Quantile(t *testing.T) {
	t.Parallel()
	var h, old serverstats.Histogram
	require.Zero(t, h.Quantile(0.99))
	for range 98 {
		h.Observe(0.001)
	}
	h.Observe(0)
	old.Add(&h)
	h.Observe(0.5)
	require.Zero(t, h.Quantile(0.01))
	require.InEpsilon(t, 0.001, h.Quantile(0.5), 0.42)
	require.InEpsilon(t, 0.5, h.Quantile(1), 0.42)

	recent := h.Since(&old)
	require.EqualValues(t, 1, recent.Count)
	require.InEpsilon(t, 0.5, recent.Quantile(0.01), 0.42)
	require.Equal(t, &old, old.Since(&h), "the histogram has begun again")
}
