package pebblestore

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestRun_DetectsGaps merges the runs of commits in the ways that Pebble may: starting from the newest or the oldest,
// and merging parts of them first.
func TestRun_DetectsGaps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "commits")
		missing := rapid.IntRange(0, n+5).Draw(t, "missing") // above n: no commit is missing
		values := make([][]byte, 0, n+1)
		for i := range n + 1 {
			if i != missing {
				values = append(values, run{uint64(i), uint64(i)}.encode())
			}
		}
		for len(values) > 1 {
			from := rapid.IntRange(0, len(values)-2).Draw(t, "from")
			to := rapid.IntRange(from+2, len(values)).Draw(t, "to")
			part := values[from:to]
			merged := merge(t, part, rapid.Bool().Draw(t, "from the oldest"))
			values = append(values[:from:from], append([][]byte{merged}, values[to:]...)...)
		}

		got := decodeRun(values[0])
		switch {
		case missing == 0:
			require.Equal(t, run{1, uint64(n)}, got)
		case missing == n:
			require.Equal(t, run{0, uint64(n - 1)}, got)
		case missing > n:
			require.Equal(t, run{0, uint64(n)}, got)
		default:
			require.False(t, got.whole())
		}
	})
}

func merge(t require.TestingT, values [][]byte, fromOldest bool) []byte {
	first, rest := values[0], values[1:]
	if !fromOldest {
		first, rest = values[len(values)-1], values[:len(values)-1]
	}
	m, err := runMerger.Merge(commitsKey, first)
	require.NoError(t, err)
	for i := range rest {
		if fromOldest {
			require.NoError(t, m.MergeNewer(rest[i]))
		} else {
			require.NoError(t, m.MergeOlder(rest[len(rest)-1-i]))
		}
	}
	merged, closer, err := m.Finish(true)
	require.NoError(t, err)
	require.Nil(t, closer)

	return merged
}

func TestRun_BadValueIsAGap(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "short", "0123456789abcdefg"} {
		require.False(t, decodeRun([]byte(bad)).whole())
		require.False(t, decodeRun(merge(t, [][]byte{run{0, 4}.encode(), []byte(bad)}, true)).whole())
	}
}
