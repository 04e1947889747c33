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
