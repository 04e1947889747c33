package node_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/node"
)

// TestEffects_EmptyAndSize checks that a change or a reply makes a batch non-empty, and that Size measures the changes.
// A server uses both to decide when to commit.
func TestEffects_EmptyAndSize(t *testing.T) {
	t.Parallel()
	n := node.New()
	var fx node.Effects
	require.True(t, fx.Empty())
	n.Apply(1, node.Tick{}, &fx)
	require.True(t, fx.Empty(), "a Tick without effects must leave the batch empty")

	n.Apply(1, node.Attach{Stream: 1, TimeoutMillis: 1000}, &fx)
	require.False(t, fx.Empty())

	from := node.From{Stream: 1, Session: 1}
	said := node.Effects{}
	n.Apply(1, node.Release{From: from, Semaphore: "none"}, &said)
	require.Empty(t, said.Changes)
	require.False(t, said.Empty(), "a batch with only a reply must not be empty")
	require.Zero(t, said.Size())

	before := fx.Size()
	n.Apply(1, node.Create{From: from, Semaphore: "job", Limit: 1, Data: make([]byte, largestData)}, &fx)
	require.InDelta(t, largestData, fx.Size()-before, 100)

	written := node.Effects{}
	n.Apply(1, node.Detach{Stream: 1}, &written)
	n.Apply(clock.Instant(1).Add(time.Second), node.Tick{}, &written)
	require.Empty(t, written.Replies)
	require.False(t, written.Empty(), "a batch with only deletions must not be empty")
}

// TestEffects_Accumulate checks that a batch has a single counters record, with the final values, and the Wake of the
// last request.
func TestEffects_Accumulate(t *testing.T) {
	t.Parallel()
	n := node.New()
	var fx node.Effects
	for stream := range node.StreamID(3) {
		n.Apply(1, node.Attach{Stream: stream + 1, TimeoutMillis: 1000}, &fx)
	}
	n.Apply(1, node.Detach{Stream: 2}, &fx)
	require.Equal(t, clock.Instant(1).Add(time.Second), fx.Wake)
	n.Apply(2, node.Attach{Stream: 4, Session: 2, TimeoutMillis: 1000}, &fx)
	require.Zero(t, fx.Wake, "a canceled deadline must not cause a wake-up")

	var st state
	counters := 0
	for _, c := range fx.Changes {
		_, err := st.read(c)
		require.NoError(t, err)
		if string(c.Key) == "c" {
			counters++
		}
	}
	require.Equal(t, 1, counters)
	require.Equal(t, countersRecord{session: 3}, st.counters)
}
