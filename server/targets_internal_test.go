package server

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/store"
)

func manyMembers(n int) (all []store.Member) {
	for i := range n {
		all = append(all, store.Member{ID: fmt.Sprintf("id%d", i), Address: fmt.Sprintf("grpc://10.0.0.1:%d", 2136+i)})
	}

	return all
}

// Each server has its share of the nodes. One that joins takes nodes from all others, and no others move.
func TestTargets_Share(t *testing.T) {
	t.Parallel()
	const nodes = 3_000
	for n := 1; n <= 6; n++ {
		var before, after targets
		all := manyMembers(n + 1)
		before.see(1, all[:n], all[0].ID)
		after.see(1, all, all[0].ID)
		share, moved := make(map[string]int), 0
		for space := range store.Space(nodes) {
			from, ok := before.of(space, "")
			require.True(t, ok)
			share[from.ID]++
			if to, _ := after.of(space, ""); to != from {
				require.Equal(t, all[n], to)
				moved++
			}
			left, _ := after.of(space, all[n].ID)
			require.Equal(t, from, left)
		}
		require.InDelta(t, nodes/(n+1), moved, nodes/10)
		for id, have := range share {
			require.InDelta(t, nodes/n, have, nodes/10, id)
		}
	}
}

// Servers that see different ones do not move a node in a circle: each one sees itself, and so each move is one to a
// server that all prefer.
func TestTargets_PartialViews(t *testing.T) {
	t.Parallel()
	const n = 6
	all := manyMembers(n)
	r := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		views := make(map[string]*targets)
		for _, self := range all {
			seen := slices.DeleteFunc(slices.Clone(all), func(m store.Member) bool { return m != self && r.IntN(2) == 0 })
			views[self.ID] = new(targets)
			views[self.ID].see(1, seen, self.ID)
		}
		for space := range store.Space(20) {
			at, moves := all[r.IntN(n)], 0
			for to, _ := views[at.ID].of(space, ""); to != at; to, _ = views[at.ID].of(space, "") {
				at = to
				moves++
				require.Less(t, moves, n)
			}
		}
	}
}

func TestTargets_Sees(t *testing.T) {
	t.Parallel()
	all := manyMembers(3)
	x := targets{settle: 10 * time.Second}
	_, ok := x.of(1, "")
	require.False(t, ok)
	require.False(t, settled(&x, 1<<40))
	x.see(1, all, all[0].ID)
	require.False(t, settled(&x, clock.Instant(10*time.Second)))
	require.True(t, settled(&x, clock.Instant(10*time.Second)+1))

	x.see(2, all, all[0].ID)
	version, _ := x.version(0)
	x.see(2, all[1:], all[0].ID) // without itself: it is the one that is cut off
	same, _ := x.version(0)
	require.Equal(t, version, same)

	all[1].Leaving = true
	nowhere := store.Member{ID: "nowhere"}
	again := store.Member{ID: "again", Address: all[0].Address}
	x.see(clock.Instant(time.Hour), append(all, nowhere, again), all[0].ID)
	require.False(t, settled(&x, clock.Instant(time.Hour)))
	for space := range store.Space(100) {
		m, _ := x.of(space, "")
		require.Contains(t, []store.Member{all[0], all[2]}, m)
	}
}

func settled(t *targets, now clock.Instant) bool {
	_, settled := t.version(now)

	return settled
}
