package pebblestore

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// TestLedger checks the count in the file after each acknowledgement. It is exact if only the process dies, and less
// than syncEvery behind after a power cut.
func TestLedger(t *testing.T) {
	t.Parallel()
	disk := vfs.NewCrashableMem()
	on := newFailstop(disk)
	require.NoError(t, errors.Join(newLedger(on, "/"), syncDir(on, "/")))
	l, err := openLedger(on, "/", 0, 7)
	require.NoError(t, err)
	for n := uint64(8); n < 3*syncEvery; n++ {
		require.NoError(t, l.ack(n))
		require.NoError(t, l.ack(n-1), "an earlier commit may be acknowledged later")
		acked, err := readLedger(disk, "/"+ledgerName)
		require.NoError(t, err)
		require.Equal(t, n, acked)
		if n%100 == 0 {
			acked, err := readLedger(disk.CrashClone(vfs.CrashCloneCfg{}), "/"+ledgerName)
			require.NoError(t, err)
			require.LessOrEqual(t, acked, n)
			require.Greater(t, acked+syncEvery, n)
		}
	}
	require.NoError(t, l.close())
	acked, err := readLedger(disk.CrashClone(vfs.CrashCloneCfg{}), "/"+ledgerName)
	require.NoError(t, err)
	require.Equal(t, uint64(3*syncEvery-1), acked)
}

// Even if several processes are killed in turn, each before its first sync is due, the unsynced counts do not add up.
func TestLedger_IsSyncedAfterKills(t *testing.T) {
	t.Parallel()
	disk := vfs.NewCrashableMem()
	on := newFailstop(disk)
	require.NoError(t, errors.Join(newLedger(on, "/"), syncDir(on, "/")))
	for acked := uint64(0); acked < 5*syncEvery; acked += syncEvery - 1 {
		l, err := openLedger(on, "/", acked, acked)
		require.NoError(t, err)
		durable, err := readLedger(disk.CrashClone(vfs.CrashCloneCfg{}), "/"+ledgerName)
		require.NoError(t, err)
		require.Equal(t, acked, durable)
		require.NoError(t, l.ack(acked+syncEvery-1))
	}
}
