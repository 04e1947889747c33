package pebblestore

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// TestLedger checks what the file says after each acknowledgement: all to who survives the process, nearly all to who
// survives a power cut.
func TestLedger(t *testing.T) {
	t.Parallel()
	disk := vfs.NewCrashableMem()
	on := newFailstop(disk)
	require.NoError(t, errors.Join(newLedger(on, "/"), syncDir(on, "/")))
	l, err := openLedger(on, "/", 0, 7)
	require.NoError(t, err)
	for n := uint64(8); n < 3*syncEvery; n++ {
		require.NoError(t, l.ack(n))
		require.NoError(t, l.ack(n-1), "a slower one comes later")
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

// The acknowledgements of processes that are killed, each before a sync is due, do not add up.
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
