package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChooseMemory(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		given     int
		container int64
		nodes     int
	}{
		{0, 0, 512 << 20},
		{0, 16 << 30, 512 << 20},
		{0, 500 << 20, 200 << 20},
		{0, 1 << 20, 16 << 20},
		{1 << 30, 500 << 20, 1 << 30},
	} {
		m := chooseMemory(tc.given, tc.container)
		require.Equal(t, memory{container: tc.container, nodes: tc.nodes, heap: 2 * int64(tc.nodes)}, m, tc)
	}
}
