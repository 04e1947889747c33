package pebblestore

import (
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

// failing returns a file system on the disk that fails with err at each operation of the kind, on files of the
// extension, once it is switched on; and how often it did.
func failing(disk vfs.FS, kind errorfs.OpKind, ext string, err error) (_ vfs.FS, on *atomic.Bool, hits *atomic.Int64) {
	on, hits = new(atomic.Bool), new(atomic.Int64)

	return errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind != kind || !strings.HasSuffix(op.Path, ext) || !on.Load() {
			return nil
		}
		hits.Add(1)

		return &os.PathError{Op: "op", Path: op.Path, Err: err}
	})), on, hits
}

func put(key string) store.Batch {
	return store.Batch{Space: 1, Changes: []node.Record{storetest.Put(key, "v")}}
}

// TestCommit_SaysWhatTheDiskSaid checks the whole text, and that the store stays as it is until it is opened again.
func TestCommit_SaysWhatTheDiskSaid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind errorfs.OpKind
		err  error
		says string
	}{
		"full": {
			errorfs.OpFileWrite, syscall.ENOSPC, `write "/var/lib/store/pebble/\d+.log": no space left on device: ` +
				`the disk of "/var/lib/store" is full: make room on it`,
		},
		"quota": {
			errorfs.OpFileWrite, syscall.EDQUOT, `write "/var/lib/store/pebble/\d+.log": disk quota exceeded: ` +
				`the disk quota for "/var/lib/store" is used up: make room, or have the quota raised`,
		},
		"read-only": {
			errorfs.OpFileWrite, syscall.EROFS, `write "/var/lib/store/pebble/\d+.log": read-only file system: ` +
				`the file system of "/var/lib/store" is read-only: make it writable, or choose another directory`,
		},
		"broken": {
			errorfs.OpFileSyncData, syscall.EIO, `sync "/var/lib/store/pebble/\d+.log": input/output error: ` +
				`the disk of "/var/lib/store" fails: see the system's log, then mend or replace the disk`,
		},
		"ledger": {
			errorfs.OpFileWriteAt, syscall.EFBIG, `write "/var/lib/store/ACKED": file too large: ` +
				`check "/var/lib/store" and its disk`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mem := vfs.NewMem()
			disk, on, hits := failing(mem, test.kind, "", test.err)
			s, err := Open(testDir, testOptions(disk))
			require.NoError(t, err)
			require.NoError(t, s.Commit(t.Context(), put("1")))
			on.Store(true)

			err = s.Commit(t.Context(), put("2"))
			require.ErrorIs(t, err, test.err)
			require.Regexp(t, `^store "/var/lib/store" has stopped: `+test.says+
				`, then start again$`, err.Error())
			says := err.Error()
			on.Store(false) // too late
			require.EqualError(t, s.Commit(t.Context(), put("3")), says)
			for _, err := range s.Load(t.Context(), 1) {
				require.EqualError(t, err, says)
			}
			require.Equal(t, int64(1), hits.Load(), "nothing is tried again")
			require.NoError(t, s.Close())

			s, err = Open(testDir, testOptions(mem))
			require.NoError(t, err)
			got := storetest.Records(t, s, 1)
			require.Contains(t, got, `"1"="v"`)
			require.NotContains(t, got, `"3"="v"`)
			require.NoError(t, s.Commit(t.Context(), put("4")))
			require.NoError(t, s.Close())
		})
	}
}

// A failure of work in the background, here a flush, stops the store as well: nobody waits for what will never be.
func TestStore_StopsWithBackgroundWork(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	disk, on, hits := failing(mem, errorfs.OpFileWrite, ".sst", syscall.EIO)
	s, err := Open(testDir, testOptions(disk))
	require.NoError(t, err)
	on.Store(true)
	acked := 0
	for err == nil {
		require.Less(t, acked, 10_000, "a flush is due long before")
		if err = s.Commit(t.Context(), testBatch(acked)); err == nil {
			acked++
		}
	}
	require.ErrorIs(t, err, syscall.EIO)
	require.ErrorContains(t, err, `.sst": input/output error`)
	require.Positive(t, hits.Load())
	<-s.watched // the database is closed although the store is not
	require.NoError(t, s.Close())
	require.NoError(t, recovers(t.Context(), mem, oneOf(history(acked + 1)[acked:])))
}

func TestOpen_FullDisk(t *testing.T) {
	t.Parallel()
	disk, on, hits := failing(vfs.NewMem(), errorfs.OpFileWrite, ".log", syscall.ENOSPC)
	on.Store(true)
	_, err := Open(testDir, testOptions(disk))
	require.EqualError(t, err, `open store "/var/lib/store": write "/var/lib/store/pebble.new/000002.log": `+
		`no space left on device: the disk of "/var/lib/store" is full: make room on it`)
	require.Positive(t, hits.Load())

	on.Store(false)
	s, err := Open(testDir, testOptions(disk))
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// What Pebble would end the process for stops the store instead.
func TestStore_StopsWhenPebbleGivesUp(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	opts := testOptions(vfs.NewMem())
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s, err := Open(testDir, opts)
	require.NoError(t, err)
	require.Empty(t, log.String(), "what Pebble tells of its work is for debugging")

	s.opts.pebble(s.disk, s.disk.stop).Logger.Fatalf("level %d is upside down", 3)
	err = s.Commit(t.Context(), put("k"))
	require.EqualError(t, err, `store "/var/lib/store" has stopped: level 3 is upside down: `+
		`check "/var/lib/store" and its disk, then start again`)
	require.NoError(t, s.Close())
	require.Contains(t, log.String(), `level=ERROR msg=pebble text="level 3 is upside down"`)
}
