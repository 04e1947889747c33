package node_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/node"
)

// A kept is a node with the records that it has written.
type kept struct {
	*node.Node

	now     clock.Instant
	records map[string][]byte
}

func (k *kept) load(t *testing.T, cfg node.Config) {
	t.Helper()
	var err error
	k.Node, err = node.Load(k.now, cfg, func(yield func(node.Record, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(k.records)) {
			if !yield(node.Record{Key: []byte(key), Value: k.records[key]}, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
}

// apply applies requests, and returns the replies.
func (k *kept) apply(requests ...node.Request) (replies []node.Message) {
	for _, r := range requests {
		k.now++
		var fx node.Effects
		k.Apply(k.now, r, &fx)
		for _, c := range fx.Changes {
			if c.Value == nil {
				delete(k.records, string(c.Key))
			} else {
				k.records[string(c.Key)] = slices.Clone(c.Value)
			}
		}
		for _, reply := range fx.Replies {
			replies = append(replies, reply.Message)
		}
	}

	return replies
}

func acquired(replies []node.Message) (got []bool) {
	for _, m := range replies {
		if a, ok := m.(node.Acquired); ok {
			got = append(got, a.Acquired)
		}
	}

	return got
}

// A frozen node grants nothing, also after it was loaded again. Thaw grants in the order of the queues (Q9).
func TestNode_Frozen(t *testing.T) {
	t.Parallel()
	k := &kept{now: 1, records: map[string][]byte{}}
	frozen := node.Config{Frozen: true, Above: 1 << 40}
	k.load(t, frozen)
	replies := k.apply(
		node.Attach{Stream: 1, TimeoutMillis: 1_000_000}, node.Attach{Stream: 2, TimeoutMillis: 1_000_000},
	)
	first, second := replies[0].(node.Attached).Session, replies[1].(node.Attached).Session
	require.Equal(t, uint64(1<<40+1), first)
	acquire := func(stream node.StreamID, session uint64, name string, timeout uint64) node.Acquire {
		return node.Acquire{
			From: node.From{Stream: stream, Session: session}, Semaphore: name, Count: 1 << 63, Ephemeral: true,
			TimeoutMillis: timeout,
		}
	}
	require.Equal(t, []bool{false}, acquired(k.apply(acquire(1, first, "now", 0))), "an acquire that does not wait")
	require.Empty(t, k.Snapshot().Semaphores, "an ephemeral semaphore without links")
	require.Empty(t, acquired(k.apply(
		acquire(2, second, "job", node.Forever), acquire(1, first, "job", node.Forever),
		acquire(1, first, "other", node.Forever),
	)))

	k.load(t, frozen)
	require.Empty(t, acquired(k.apply(
		node.Attach{Stream: 3, Session: first, TimeoutMillis: 1_000_000},
		node.Attach{Stream: 4, Session: second, TimeoutMillis: 1_000_000},
		node.Tick{}, acquire(4, second, "job", node.Forever),
	)))
	require.Equal(t, []bool{true}, acquired(k.apply(node.Thaw{}, node.Thaw{})), "the acquire after the load")
	owners := map[string]uint64{}
	for _, s := range k.Snapshot().Semaphores {
		require.Len(t, s.Owners, 1)
		owners[s.Name] = s.Owners[0].Session
		require.Greater(t, s.Owners[0].OrderID, uint64(1<<40))
	}
	require.Equal(t, map[string]uint64{"job": second, "other": first}, owners)

	k.load(t, node.Config{})
	for _, s := range k.Snapshot().Semaphores {
		require.Equal(t, owners[s.Name], s.Owners[0].Session, "after another load")
	}
}

// Restored raises the counters. Without sessions, it leaves what a node without sessions can have written.
func TestRestored(t *testing.T) {
	t.Parallel()
	k := &kept{now: 1, records: map[string][]byte{}}
	all := written(sound())
	for _, keep := range []bool{false, true} {
		k.records = map[string][]byte{}
		for key, value := range all {
			r, ok, err := node.Restored(node.Record{Key: []byte(key), Value: value}, keep)
			require.NoError(t, err)
			if ok {
				k.records[string(r.Key)] = r.Value
			}
		}
		k.load(t, node.Config{})
		s := k.Snapshot()
		if keep {
			require.Len(t, s.Sessions, 2)
			require.Len(t, s.Semaphores, 2)
		} else {
			require.Empty(t, s.Sessions)
			require.Len(t, s.Semaphores, 1)
			require.Equal(t, "job", s.Semaphores[0].Name)
			require.Equal(t, "what", string(s.Semaphores[0].Data))
		}
		got := k.apply(node.Attach{Stream: 1, TimeoutMillis: 5_000})
		require.Equal(t, uint64(3+node.Lift+1), got[0].(node.Attached).Session)
	}
}

// A counter can be raised 8 million times. After that, Restored refuses it, and does not wrap around.
func TestRestored_UsedUp(t *testing.T) {
	t.Parallel()
	const lifts = 8_000_000 // a node can be restored at least as often
	next, err := node.Lifted(5)
	require.NoError(t, err)
	require.LessOrEqual(t, next-5, uint64(1<<63/lifts))

	counter := uint64(1<<63 - 10*node.Lift)
	for range 20 {
		if next, err = node.Lifted(counter); err != nil {
			break
		}
		require.Greater(t, next, counter)
		counter = next
	}
	require.ErrorIs(t, err, node.ErrUsedUp)
	require.Less(t, counter, uint64(1<<63-node.Lift+1))
	high := sound()
	high.counters.order = counter
	_, _, err = node.Restored(node.Record{Key: []byte("c"), Value: written(high)["c"]}, false)
	require.ErrorIs(t, err, node.ErrUsedUp)
}
