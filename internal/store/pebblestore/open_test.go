package pebblestore

import (
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"tenure/internal/store/storetest"
)

// TestOpen_Syncs counts the syncs of an Open, which take most of its time. After a kill, Open turns the log into a
// table and syncs the data and the name of the table, the data, the name and the marker of the manifest, the name of
// the next log, and the ledger.
func TestOpen_Syncs(t *testing.T) {
	t.Parallel()
	states, _ := damageable(t)
	for state, img := range states {
		mem := vfs.NewMem()
		img.on(t, mem)
		var syncs atomic.Int64
		disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData {
				syncs.Add(1)
			}

			return nil
		}))
		opts := testOptions(disk)
		opts.LogSize = 1 << 20 // so that the whole log becomes one table
		s, err := Open(testDir+"/", opts)
		require.NoError(t, err)
		require.LessOrEqual(t, syncs.Load(), int64(7), state)
		require.NoError(t, s.Close())
	}
}

// The tables that result from repeated kills are compacted, but only once the store is open. During Open, which ends
// with the sync of the ledger, at most one new table is written.
func TestOpen_CompactsLater(t *testing.T) {
	t.Parallel()
	disk := vfs.NewCrashableMem()
	all := vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))}
	for range 40 {
		var open atomic.Bool
		var tables atomic.Int64
		s, err := Open(testDir, testOptions(errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			switch {
			case op.Kind == errorfs.OpFileSyncData && strings.HasSuffix(op.Path, ledgerName):
				open.Store(true)
			case op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") && !open.Load():
				tables.Add(1)
			}

			return nil
		}))))
		require.NoError(t, err)
		require.LessOrEqual(t, tables.Load(), int64(1))
		require.NoError(t, s.Commit(t.Context(), put("k")))
		killed := disk.CrashClone(all)
		require.NoError(t, s.Close())
		disk = killed
	}
	s, err := Open(testDir, testOptions(disk))
	require.NoError(t, err)
	for s.db.Metrics().Levels[0].TablesCount > 4 {
		runtime.Gosched()
	}
	require.NoError(t, s.Close())
}

// TestStore_KillThenPowerCut kills a process before each of its changes of the disk, lets a second process open the
// store and commit, and cuts the power before one change of the second process and at its end. Changes that the first
// process made need not be durable when it is killed.
func TestStore_KillThenPowerCut(t *testing.T) {
	t.Parallel()
	const batches = 6
	models := history(batches + 1)
	for nth, done := int64(1), false; !done; nth++ {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 0))
		disk := vfs.NewCrashableMem()
		first := &workload{batches: batches, reopenEvery: 3}
		var changes, hits atomic.Int64
		err := first.run(t.Context(), testOptions(errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if isChange(op) && changes.Add(1) >= nth && op.Kind != errorfs.OpLock {
				hits.Add(1)

				return &os.PathError{Op: "change", Path: op.Path, Err: syscall.EIO}
			}

			return nil
		}))))
		done = hits.Load() == 0
		require.Equal(t, done, err == nil, "%v", err)

		var cuts []*vfs.MemFS
		cut := func() {
			cuts = append(cuts, disk.CrashClone(vfs.CrashCloneCfg{}),
				disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng}))
		}
		at, count := 1+rng.Int64N(50), new(atomic.Int64)
		second := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if isChange(op) && count.Add(1) == at {
				cut()
			}
			if op.Kind == errorfs.OpRemove && strings.Contains(op.Path, "/"+dbName+"/marker.") {
				durable, err := disk.CrashClone(vfs.CrashCloneCfg{}).List(disk.PathDir(op.Path))
				if err != nil || !slices.ContainsFunc(durable, newerMarker(disk.PathBase(op.Path))) {
					t.Errorf("killed before change %d: the successor of %q is not durable: %q, %v", nth, op.Path, durable, err)
				}
			}

			return nil
		}))
		may := models[first.acked.Load() : first.begun.Load()+1]
		var seen storetest.Model
		require.NoError(t, recovers(t.Context(), second, func(got storetest.Model) error {
			seen = got

			return oneOf(may)(got)
		}))
		during := len(cuts)
		cut()
		for i, disk := range cuts {
			if i == during {
				may = []storetest.Model{seen}
			}
			require.NoError(t, recovers(t.Context(), disk, oneOf(may)), "seed %d: killed before change %d, power cut before "+
				"change %d of %d of the second process, variant %d", seed, nth, at, count.Load(), i)
		}
	}
}

// newerMarker returns a function that reports whether a file is a newer marker of the same kind.
func newerMarker(marker string) func(string) bool {
	kind := marker[:strings.Index(marker, ".0")]

	return func(name string) bool { return strings.HasPrefix(name, kind+".") && name > marker }
}
