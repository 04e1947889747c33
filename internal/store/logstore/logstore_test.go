package logstore

import (
	"testing"

	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

func TestStore_OnDisk(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) func() (store.Store, error) {
		t.Helper()
		dir := t.TempDir()

		return func() (store.Store, error) { return Open(dir, Options{}) }
	})
}

// Such small segments are merged every few batches.
func TestStore_WithManyMerges(t *testing.T) {
	t.Parallel()
	storetest.Run(t, smallSegments)
}

func TestStore_Model(t *testing.T) {
	t.Parallel()
	storetest.RunModel(t, smallSegments)
}

// smallSegments uses a disk in memory. On a real one, a process that another test has just started keeps the lock of a
// closed store until it executes its program.
func smallSegments(*testing.T) func() (store.Store, error) {
	opts := newMemDisk().options(nil)
	opts.LogSize = 2 << 10

	return func() (store.Store, error) { return Open(testDir, opts) }
}
