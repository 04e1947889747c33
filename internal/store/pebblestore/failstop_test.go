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

// failing wraps the disk in a file system in which operations of the kind on files with the extension fail with err
// while on is set. It counts the failures in hits.
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

// TestCommit_ReportsDiskErrors checks the whole message, and that the store stays stopped until it is opened again.
func TestCommit_ReportsDiskErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind errorfs.OpKind
		err  error
		says string
	}{
		"full": {
			errorfs.OpFileWrite, syscall.ENOSPC, `write "/var/lib/store/pebble/\d+.log": no space left on device: ` +
				`free some space on the disk of "/var/lib/store"`,
		},
		"quota": {
			errorfs.OpFileWrite, syscall.EDQUOT, `write "/var/lib/store/pebble/\d+.log": disk quota exceeded: ` +
				`free some space on the disk of "/var/lib/store", or have the quota raised`,
		},
		"read-only": {
			errorfs.OpFileWrite, syscall.EROFS, `write "/var/lib/store/pebble/\d+.log": read-only file system: ` +
				`make the file system of "/var/lib/store" writable, or choose another directory`,
		},
		"broken": {
			errorfs.OpFileSyncData, syscall.EIO, `sync "/var/lib/store/pebble/\d+.log": input/output error: ` +
				`the disk of "/var/lib/store" is failing: check the system log, then repair or replace the disk`,
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
			require.Regexp(t, `^store "/var/lib/store" has stopped: `+test.says+`$`, err.Error())
			says := err.Error()
			on.Store(false) // too late
			require.EqualError(t, s.Commit(t.Context(), put("3")), says)
			for _, err := range s.Load(t.Context(), 1) {
				require.EqualError(t, err, says)
			}
			require.Equal(t, int64(1), hits.Load(), "the store does not retry")
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

// A failure of background work, here of a flush, also stops the store. Otherwise commits would wait forever.
func TestStore_StopsWithBackgroundWork(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	disk, on, hits := failing(mem, errorfs.OpFileWrite, ".sst", syscall.EIO)
	s, err := Open(testDir, testOptions(disk))
	require.NoError(t, err)
	on.Store(true)
	acked := 0
	for err == nil {
		require.Less(t, acked, 10_000, "a flush should have failed long ago")
		if err = s.Commit(t.Context(), testBatch(acked)); err == nil {
			acked++
		}
	}
	require.ErrorIs(t, err, syscall.EIO)
	require.ErrorContains(t, err, `.sst": input/output error`)
	require.Positive(t, hits.Load())
	<-s.watched // the database is closed, though the store is still open
	require.NoError(t, s.Close())
	require.NoError(t, recovers(t.Context(), mem, oneOf(history(acked + 1)[acked:])))
}

func TestOpen_FullDisk(t *testing.T) {
	t.Parallel()
	disk, on, hits := failing(vfs.NewMem(), errorfs.OpFileWrite, ".log", syscall.ENOSPC)
	on.Store(true)
	_, err := Open(testDir, testOptions(disk))
	require.EqualError(t, err, `open store "/var/lib/store": write "/var/lib/store/pebble.new/000002.log": `+
		`no space left on device: free some space on the disk of "/var/lib/store"`)
	require.Positive(t, hits.Load())

	on.Store(false)
	s, err := Open(testDir, testOptions(disk))
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// A fatal error of Pebble stops the store instead of ending the process.
func TestStore_StopsWhenPebbleGivesUp(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	opts := testOptions(vfs.NewMem())
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s, err := Open(testDir, opts)
	require.NoError(t, err)
	require.Empty(t, log.String(), "Pebble's informational messages have level debug")

	s.opts.pebble(s.disk, s.disk.stop).Logger.Fatalf("level %d is upside down", 3)
	err = s.Commit(t.Context(), put("k"))
	require.EqualError(t, err, `store "/var/lib/store" has stopped: level 3 is upside down: `+
		`check "/var/lib/store" and its disk`)
	require.NoError(t, s.Close())
	require.Contains(t, log.String(), `level=ERROR msg=pebble text="level 3 is upside down"`)
}
