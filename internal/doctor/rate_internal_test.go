package doctor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A delay of the short wait does not make a good clock look slow, and does not hide a slow one.
func TestRateOf(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, test := range []struct {
		short, long time.Duration
		want        Result
	}{
		{502 * ms, 5_003 * ms, OK},
		{620 * ms, 5_028 * ms, Warn}, // too inexact
		{540 * ms, 5_003 * ms, OK},
		{540 * ms, 4_800 * ms, Bad},
		{480 * ms, 4_800 * ms, Bad},
		{502 * ms, 5_200 * ms, Warn},
	} {
		line := rateOf(test.short, test.long, 5*ms).Line()
		require.Equal(t, test.want, line.Result, line)
	}
	require.Contains(t, rateOf(620*ms, 5_028*ms, 5*ms).Line().Found, "too inexact")
}
