package logstore

import (
	"bytes"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
)

// The store tells when there is little space, or when no segment can be created, and when that is over.
func TestFull(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		mem, f := newMemDisk(), &failing{op: "write", suffix: ".log.new", err: syscall.EDQUOT}
		opts := hooked(mem.options(nil), f.before)
		opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
		s, err := Open(testDir, opts)
		require.NoError(t, err)
		defer s.Close()
		idle(t, s)
		free := func(n int64) {
			mem.mu.Lock()
			mem.free = n
			mem.mu.Unlock()
			time.Sleep(spaceInterval)
		}
		require.False(t, s.Full())
		free(s.reserve() - 1)
		require.True(t, s.Full())
		require.True(t, s.Full())
		free(s.reserve())
		require.False(t, s.Full())
		require.Equal(t, 1, strings.Count(log.String(), "the disk is nearly full"))

		free(0)
		f.on.Store(true)
		for i := 0; f.hits.Load() == 0; i++ {
			require.NoError(t, s.Commit(t.Context(), testBatch(i)))
			synctest.Wait()
		}
		time.Sleep(spaceInterval)
		require.True(t, s.Full(), "a quota does not show in the free space")
		f.on.Store(false)
		time.Sleep(time.Minute)
		require.False(t, s.Full())
	})
}

// The system knows the free space of a real directory.
func TestFull_Disk(t *testing.T) {
	t.Parallel()
	free, err := freeSpace(t.TempDir())
	require.NoError(t, err)
	require.Positive(t, free)
}
