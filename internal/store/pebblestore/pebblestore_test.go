package pebblestore

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore_OnDisk(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) func() (store.Store, error) {
		t.Helper()
		dir := t.TempDir()

		return func() (store.Store, error) { return Open(dir, Options{}) }
	})
}

func TestStore_Model(t *testing.T) {
	t.Parallel()
	storetest.RunModel(t, smallTables)
}

// A memtable this small is flushed every few batches, and a batch of half of it takes a way of its own.
func TestStore_WithManyFlushes(t *testing.T) {
	t.Parallel()
	storetest.Run(t, smallTables)
}

func smallTables(*testing.T) func() (store.Store, error) {
	opts := Options{disk: vfs.NewMem(), memTableSize: 16 << 10}

	return func() (store.Store, error) { return Open("/dir", opts) }
}
