package pebblestore

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"tenure/internal/node"
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

func TestStore_Model(t *testing.T) {
	t.Parallel()
	storetest.RunModel(t, smallTables)
}

// Such a small memtable is flushed every few batches, and a batch of half its size bypasses it.
func TestStore_WithManyFlushes(t *testing.T) {
	t.Parallel()
	storetest.Run(t, smallTables)
}

func smallTables(*testing.T) func() (store.Store, error) {
	opts := Options{disk: vfs.NewMem(), LogSize: 16 << 10}

	return func() (store.Store, error) { return Open("/dir", opts) }
}

// TestCommit_SharesSyncs blocks the sync of one commit until all others wait for theirs. A single further sync must
// then be enough for all of them.
func TestCommit_SharesSyncs(t *testing.T) {
	t.Parallel()
	const others = 8
	hold, held := make(chan struct{}), make(chan struct{})
	var on atomic.Bool
	var syncs atomic.Int64
	s, err := Open(testDir, testOptions(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData && strings.HasSuffix(op.Path, ".log") && on.Load() {
			if syncs.Add(1) == 1 {
				close(held)
				<-hold
			}
		}

		return nil
	}))))
	require.NoError(t, err)
	on.Store(true)

	var wg sync.WaitGroup
	var errs [others + 1]error
	commit := func(i int) {
		wg.Go(func() {
			errs[i] = s.Commit(t.Context(), store.Batch{
				Space: store.Space(i), Changes: []node.Record{storetest.Put("k", "v")},
			})
		})
	}
	commit(0)
	<-held
	for i := range others {
		commit(1 + i)
	}
	for numbered := uint64(0); numbered < others+1; runtime.Gosched() {
		s.order.Lock()
		numbered = s.commits
		s.order.Unlock()
	}
	close(hold)
	wg.Wait()
	require.NoError(t, errors.Join(errs[:]...))
	require.Equal(t, int64(2), syncs.Load())
	require.NoError(t, s.Close())
}
