package logstore

import (
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// ledgerOn returns a ledger on the disk, which has a durable count of commits.
func ledgerOn(t *testing.T, d *memDisk, count uint64) *ledger {
	t.Helper()
	v := &memView{d, func(change) error { return nil }}
	require.NoError(t, replaceFile(v, ledgerName, appendCount(nil, count)))
	require.NoError(t, v.Sync())
	f, err := v.Open(ledgerName)
	require.NoError(t, err)

	return &ledger{file: f, acked: count, synced: count}
}

// acked returns the count in the ledger on the disk.
func acked(t *testing.T, d *memDisk) uint64 {
	t.Helper()
	f, err := (&memView{d, nil}).Open(ledgerName)
	require.NoError(t, err)
	count, err := readLedger(f)
	require.NoError(t, err)

	return count
}

// TestLedger checks the count in the file after each acknowledgement. It is exact if only the process dies, and less
// than syncEvery behind after a power cut.
func TestLedger(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	l := ledgerOn(t, d, 7)
	for n := uint64(8); n < 3*syncEvery; n++ {
		require.NoError(t, l.write(n))
		require.Equal(t, n, acked(t, d))
		if n%100 == 0 {
			durable := acked(t, d.cut(0, nil))
			require.LessOrEqual(t, durable, n)
			require.Greater(t, durable+syncEvery, n)
		}
	}
	require.NoError(t, l.sync())
	require.Equal(t, uint64(3*syncEvery-1), acked(t, d.cut(0, nil)))
}

// Even if several processes are killed in turn, each before its first sync is due, the unsynced counts do not add up.
func TestLedger_IsSyncedAfterKills(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	for range 4 {
		var dead atomic.Bool
		s, err := Open(testDir, d.options(func(change) error {
			if dead.Load() {
				return syscall.EIO
			}

			return nil
		}))
		require.NoError(t, err)
		require.Equal(t, s.commits, acked(t, d.cut(0, nil)))
		for i := range 30 {
			require.NoError(t, s.Commit(t.Context(), numbered(i)))
		}
		dead.Store(true) // as a kill, nothing changes on the disk from now on
		require.ErrorIs(t, s.Close(), syscall.EIO)
	}
}
