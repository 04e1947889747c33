package memstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/memstore"
	"tenure/internal/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	disk := func(*testing.T) func() (store.Store, error) {
		var disk memstore.Disk

		return func() (store.Store, error) { return disk.Open() }
	}
	storetest.Run(t, disk)
	storetest.RunModel(t, disk)
}

func TestNew_StoresAreApart(t *testing.T) {
	t.Parallel()
	a, b := memstore.New(), memstore.New()
	require.NoError(t, a.Commit(t.Context(), store.Batch{Changes: []node.Record{storetest.Put("k", "v")}}))
	require.Len(t, storetest.Records(t, a, store.Catalog), 1)
	require.Empty(t, storetest.Records(t, b, store.Catalog))
	require.NoError(t, a.Close())
	require.ErrorIs(t, a.Commit(t.Context(), store.Batch{}), store.ErrClosed)
}

// A snapshot, and the records of a space, are those at the instant when the loop begins. Commits during the loop change
// neither, whatever spaces and keys they concern.
func TestStore_SnapshotIsOneInstant(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	put := func(value string) {
		for space := range store.Space(3) {
			require.NoError(t, s.Commit(t.Context(), store.Batch{Space: space, Changes: []node.Record{
				storetest.Put("a", value), storetest.Put("b", value), storetest.Put(value, value),
			}}))
		}
	}
	put("first")
	n := 0
	for r, err := range s.Snapshot(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, "first", string(r.Value), "%d %s", r.Space, r.Key)
		if n++; n == 1 {
			put("second")
			require.NoError(t, s.Commit(t.Context(), store.Batch{
				Space: 0, Changes: []node.Record{{Key: []byte("b")}}, Drop: []store.Space{2},
			}))
		}
	}
	require.Equal(t, 9, n)

	put("third")
	n = 0
	for r, err := range s.Load(t.Context(), 1) {
		require.NoError(t, err)
		if n++; n == 1 {
			put("fourth")
		}
		require.NotEqual(t, "fourth", string(r.Value))
	}
	require.Equal(t, 5, n)
}
