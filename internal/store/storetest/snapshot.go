package storetest

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
)

// Snapshot returns a model with the records of a snapshot. It checks their order.
func Snapshot(t *testing.T, s store.Store) Model {
	t.Helper()
	m := NewModel()
	var last store.Record
	for r, err := range s.Snapshot(t.Context()) {
		require.NoError(t, err)
		require.NotNil(t, r.Value)
		if len(m) > 0 && r.Space == last.Space {
			require.Less(t, string(last.Key), string(r.Key))
		} else {
			require.True(t, len(m) == 0 || r.Space > last.Space)
			m[r.Space] = make(map[string]string)
		}
		m[r.Space][string(r.Key)] = string(r.Value)
		last = store.Record{Space: r.Space, Record: node.Record{Key: append([]byte{}, r.Key...)}}
	}

	return m
}

func (t suite) snapshot() {
	s := Open(t.T, t.open)
	require.Empty(t, Snapshot(t.T, s))
	want := NewModel()
	both := func(b store.Batch) {
		commit(t.T, s, b)
		want.Apply(b)
	}
	for _, space := range []store.Space{store.Catalog, 1, 2, 254, 255, 256, math.MaxUint64 - 1} {
		both(store.Batch{Space: space, Changes: []node.Record{Put("", "v"), Put("\xff\xff", "v"), Put("k", "")}})
	}
	both(store.Batch{Space: 2, Changes: []node.Record{Del("k"), Put("a", "w")}, Drop: []store.Space{255, 256, 9}})
	if !t.traits.NoReuse {
		both(store.Batch{Space: 256, Changes: []node.Record{Put("again", "v")}})
	}
	require.True(t, want.Equal(Snapshot(t.T, s)))

	seen := 0
	for r, err := range s.Snapshot(t.Context()) {
		require.NoError(t, err)
		require.NotEqual(t, "new", string(r.Key))
		if seen++; seen > 3 { // the loop ends early
			break
		}
		commit(t.T, s, store.Batch{Space: r.Space, Changes: []node.Record{Put("new", "v"), Del("k")}})
		commit(t.T, s, store.Batch{Space: 3, Changes: []node.Record{Put("new", "v")}, Drop: []store.Space{254}})
	}
	require.NoError(t, s.Close())
	require.ErrorIs(t, snapshotError(s.Snapshot(t.Context())), store.ErrClosed)
}

func (t suite) snapshotCanceled() {
	s := Open(t.T, t.open)
	commit(t.T, s, store.Batch{Space: 1, Changes: []node.Record{Put("a", "1"), Put("b", "1")}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	for _, err := range s.Snapshot(ctx) {
		if seen++; seen == 1 {
			require.NoError(t, err)
			cancel()
		} else {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	require.Equal(t, 2, seen)
	require.ErrorIs(t, snapshotError(s.Snapshot(ctx)), context.Canceled)
}

// snapshotError returns the error of a snapshot that yields no record.
func snapshotError(snapshot func(func(store.Record, error) bool)) error {
	return loadError(func(yield func(node.Record, error) bool) {
		for r, err := range snapshot {
			if !yield(r.Record, err) {
				return
			}
		}
	})
}

// snapshotIsAPrefix takes snapshots while batches are committed to several spaces, one after the other, and others
// beside them. Each snapshot must have the first batches, and all that were committed before it began.
func (t suite) snapshotIsAPrefix() {
	const spaces, commits, most, snapshots, noise = 4, 400, 20_000, 10, 2
	s := Open(t.T, t.open)
	var committed, taken atomic.Int64
	var done atomic.Bool
	var wg sync.WaitGroup
	errs := make([]error, 1+noise)
	wg.Go(func() {
		defer done.Store(true)
		for i := 1; (i <= commits || taken.Load() < snapshots && i <= most) && errs[0] == nil; i++ {
			v := fmt.Sprint(i)
			b := store.Batch{Space: store.Space(1 + i%spaces), Changes: []node.Record{Put("a", v), Put("z", v)}}
			if i%7 == 0 {
				b.Drop = []store.Space{99}
			}
			b.Changes = append(b.Changes, Put("n"+v, v))
			errs[0] = s.Commit(t.Context(), b)
			committed.Store(int64(i))
		}
	})
	for i := range noise {
		wg.Go(func() {
			for n := 0; !done.Load() && errs[1+i] == nil; n++ {
				errs[1+i] = s.Commit(t.Context(), store.Batch{
					Space: store.Space(100 + i), Changes: []node.Record{Put(fmt.Sprint(n%50), fmt.Sprint(n))},
				})
			}
		})
	}
	for last := false; !last; {
		last = done.Load()
		least := committed.Load()
		checkPrefix(t.T, Snapshot(t.T, s), spaces, int(least))
		taken.Add(1)
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

func checkPrefix(t *testing.T, m Model, spaces, least int) {
	t.Helper()
	newest := 0
	values := make([]int, spaces)
	for i := range spaces {
		records := m[store.Space(1+i)]
		require.Equal(t, records["a"], records["z"], "a part of a batch")
		_, _ = fmt.Sscan(records["a"], &values[i]) // 0 if there is none yet
		newest = max(newest, values[i])
	}
	require.GreaterOrEqual(t, newest, least, "a commit that has returned is missing")
	for i, v := range values {
		want := newest - (newest-i+spaces)%spaces // the last one up to newest that went to this space
		require.Equal(t, max(want, 0), v, "batches 1 to %d: space %d", newest, 1+i)
		for n := want; n > 0; n -= spaces {
			require.Contains(t, m[store.Space(1+i)], fmt.Sprintf("n%d", n))
		}
	}
}
