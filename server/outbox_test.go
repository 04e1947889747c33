package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/wire"
)

// writers counts the writers that an outbox starts.
type writers int

func (w *writers) start() { *w++ }

// A large message fits after a small one that the writer has not taken yet, since that reader is not slow. After a
// large one that has not been taken, no message fits.
func TestOutbox_LargeMessage(t *testing.T) {
	t.Parallel()
	large := node.Described{Semaphore: &node.Description{Data: make([]byte, maxQueued+1)}}
	var o outbox
	var w writers
	require.True(t, o.put(wire.Ping{Opaque: 1}, w.start))
	require.True(t, o.put(large, w.start))
	require.False(t, o.put(wire.Ping{Opaque: 2}, w.start))

	require.Equal(t, []any{wire.Ping{Opaque: 1}, large}, o.take())
	require.True(t, o.put(wire.Ping{Opaque: 2}, w.start))
}

// Many small messages fill the queue too.
func TestOutbox_Full(t *testing.T) {
	t.Parallel()
	var o outbox
	var w writers
	n := 0
	for o.put(node.Released{}, w.start) {
		n++
	}
	require.InDelta(t, maxQueued, n*size(node.Released{}), float64(size(node.Released{})))
	o.close()
	require.True(t, o.put(node.Released{}, w.start), "after close, no reader is too slow")
	require.Empty(t, o.take())
}

// There is one writer at a time. That of an idle stream ends when it has taken everything.
func TestOutbox_OneWriter(t *testing.T) {
	t.Parallel()
	var o outbox
	var w writers
	first, second, third := node.Attached{Session: 1}, wire.Ping{Opaque: 2}, wire.Ping{Opaque: 3}
	require.True(t, o.put(first, w.start))
	require.True(t, o.put(second, w.start))
	require.Equal(t, []any{first, second}, o.take())
	require.True(t, o.put(third, w.start))
	require.EqualValues(t, 1, w, "the writer is still sending")
	require.Equal(t, []any{third}, o.take())
	require.Empty(t, o.take())
	require.True(t, o.put(first, w.start))
	require.EqualValues(t, 2, w)
	require.Equal(t, []any{first}, o.take())
	o.close()
	require.True(t, o.put(second, w.start))
	require.Empty(t, o.take())
	require.EqualValues(t, 2, w)
}

// A goroutine that enters is the writer until it leaves. Then it starts a writer for what others have put meanwhile.
func TestOutbox_Enter(t *testing.T) {
	t.Parallel()
	var o outbox
	var w writers
	require.True(t, o.enter())
	require.False(t, o.enter())
	o.leave(w.start)
	require.Zero(t, w)

	require.True(t, o.enter())
	require.True(t, o.put(node.Released{}, w.start))
	require.Zero(t, w)
	o.leave(w.start)
	require.EqualValues(t, 1, w)
	require.False(t, o.enter(), "the writer has not taken everything")
	require.Len(t, o.take(), 1)
	require.False(t, o.enter(), "the writer is sending")
	require.Empty(t, o.take())
	require.True(t, o.enter())
	o.close()
	o.leave(w.start)
	require.False(t, o.enter())
	require.EqualValues(t, 1, w)
}
