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

func smallSegments(t *testing.T) func() (store.Store, error) {
	t.Helper()
	dir := t.TempDir()

	return func() (store.Store, error) { return Open(dir, Options{LogSize: 2 << 10}) }
}
