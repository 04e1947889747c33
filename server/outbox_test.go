package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/wire"
)

// A large message fits after a small one that the writer has not taken yet, since that reader is not slow. After a
// large one that has not been taken, no message fits.
func TestOutbox_LargeMessage(t *testing.T) {
	t.Parallel()
	large := node.Described{Semaphore: &node.Description{Data: make([]byte, maxQueued+1)}}
	o := newOutbox()
	require.True(t, o.put(wire.Ping{Opaque: 1}))
	require.True(t, o.put(large))
	require.False(t, o.put(wire.Ping{Opaque: 2}))

	taken, open := o.take(nil)
	require.True(t, open)
	require.Equal(t, []any{wire.Ping{Opaque: 1}, large}, taken)
	require.True(t, o.put(wire.Ping{Opaque: 2}))
}

// Many small messages fill the queue too.
func TestOutbox_Full(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	n := 0
	for o.put(node.Released{}) {
		n++
	}
	require.InDelta(t, maxQueued, n*size(node.Released{}), float64(size(node.Released{})))
	o.close()
	require.True(t, o.put(node.Released{}), "after close, no reader is too slow")
	_, open := o.take(nil)
	require.False(t, open)
}
