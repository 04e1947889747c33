package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The garbage collector pauses while at least one node is loaded, if there is a memory limit. Then it has the pace of
// before.
func TestCollector(t *testing.T) {
	t.Parallel()
	percent, limit := 70, int64(1<<30)
	c := &collector{
		limit: func() int64 { return limit },
		setPercent: func(p int) (before int) {
			before, percent = percent, p

			return before
		},
	}
	first := c.load()
	require.Equal(t, -1, percent)
	second := c.load()
	limit = math.MaxInt64 // nobody changes the limit of a server; the second pause still has to end
	third := c.load()
	first()
	second()
	require.Equal(t, -1, percent)
	third()
	require.Equal(t, 70, percent)

	c.load()()
	require.Equal(t, 70, percent, "without a limit, the heap could grow without bound")
	limit = 1 << 30
	loaded := c.load()
	require.Equal(t, -1, percent)
	loaded()
	require.Equal(t, 70, percent)
}
