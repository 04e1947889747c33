package backup_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/backup"
	"tenure/internal/catalog"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/logstore"
	"tenure/internal/store/memstore"
)

var update = flag.Bool("update", false, "rewrite testdata; use it only for a format that no release has written")

var date = time.UnixMilli(1_780_000_000_000)

// filled returns a store with two nodes. In the first one, a session holds an ephemeral semaphore, and there is a
// persistent one with data. The second has no records.
func filled(t *testing.T) store.Store {
	t.Helper()
	s := memstore.New()
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	c, err := catalog.Open(t.Context(), s, "/local")
	require.NoError(t, err)
	require.NoError(t, c.CreateNode(t.Context(), "/local/dir/a", catalog.Config{}))
	require.NoError(t, c.CreateNode(t.Context(), "/local/b", catalog.Config{SessionGracePeriodMillis: 3000}))
	n, now := node.New(), clock.Instant(0)
	apply := func(r node.Request) {
		now++
		var fx node.Effects
		n.Apply(now, r, &fx)
		require.NoError(t, s.Commit(t.Context(), store.Batch{Space: 1, Changes: fx.Changes}))
	}
	from := node.From{Stream: 1, Session: 1}
	apply(node.Attach{Stream: 1, TimeoutMillis: 5000, Description: "me", ProtectionKey: []byte("0123456789abcdef")})
	apply(node.Create{From: from, Semaphore: "build", Limit: 3, Data: []byte("data")})
	apply(node.Acquire{From: from, Semaphore: "deploy", Count: 1 << 63, Ephemeral: true, TimeoutMillis: 1})

	return s
}

func written(t *testing.T, s store.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, backup.Write(&b, date, s.Snapshot(t.Context())))

	return b.Bytes()
}

// The file in testdata must be readable by every later version, and this version writes exactly it.
func TestWrite_Golden(t *testing.T) {
	t.Parallel()
	const name = "testdata/format1.backup"
	got := written(t, filled(t))
	if *update {
		require.NoError(t, os.WriteFile(name, got, 0o600))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, hex.Dump(want), hex.Dump(got))
	summary, err := backup.Check(bytes.NewReader(want))
	require.NoError(t, err)
	require.Equal(t, backup.Summary{
		Date: date.UTC(), Nodes: 2, Semaphores: 2, Sessions: 1, Records: 9, Bytes: int64(len(want)),
		LongestTimeout: 5 * time.Second,
	}, summary)
}

// A file that differs in one byte, or that is cut off anywhere, is refused.
func TestCheck_Refuses(t *testing.T) {
	t.Parallel()
	whole := written(t, filled(t))
	for i := range whole {
		for _, flip := range []byte{1, 0x80} {
			b := bytes.Clone(whole)
			b[i] ^= flip
			_, err := backup.Check(bytes.NewReader(b))
			require.Error(t, err, "byte %d", i)
			require.NotContains(t, err.Error(), "\n")
		}
		_, err := backup.Check(bytes.NewReader(whole[:i]))
		if i < 8 {
			require.Error(t, err)
		} else {
			require.ErrorIs(t, err, backup.ErrCut, "%d bytes", i)
		}
	}
	_, err := backup.Check(bytes.NewReader(append(bytes.Clone(whole), 0)))
	require.EqualError(t, err, "the backup is damaged: something after the end of the backup at byte 370: "+
		"copy the file again, or use another backup")
	_, err = backup.Check(bytes.NewReader([]byte("#!/bin/sh\necho this is something else\n")))
	require.EqualError(t, err, `this is not a backup of tenure: pass a file that "tenure backup" has written`)
	_, err = backup.Check(bytes.NewReader(nil))
	require.ErrorIs(t, err, backup.ErrForeign)
	newer := bytes.Clone(whole)
	newer[8] = 2
	copy(newer[12:], headerSum(newer))
	_, err = backup.Check(bytes.NewReader(newer))
	require.EqualError(t, err, "the backup is of a newer version of tenure: it has format 2, and this version reads "+
		"format 1: run the version that wrote it, or a later one")
}

func headerSum(b []byte) []byte {
	table := crc32.MakeTable(crc32.Castagnoli)

	return binary.LittleEndian.AppendUint32(nil, crc32.Update(crc32.Checksum(b[:12], table), table, b[16:24]))
}

// restored opens a store that was restored from the file.
func restored(t *testing.T, file []byte, o backup.Options) *logstore.Store {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	c, err := logstore.Create(dir, logstore.Options{})
	require.NoError(t, err)
	_, err = backup.Restore(bytes.NewReader(file), o, c.Add)
	require.NoError(t, err)
	require.NoError(t, c.Finish())
	s, err := logstore.Open(dir, logstore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })

	return s
}

func loaded(t *testing.T, s store.Store, space store.Space) *node.Node {
	t.Helper()
	n, err := node.Load(1, node.Config{}, s.Load(t.Context(), space))
	require.NoError(t, err)

	return n
}

// The restored store has the nodes and semaphores. Another restore, of a backup of it, raises the counters again, and
// keeps the wait if the backup is from that time.
func TestRestore(t *testing.T) {
	t.Parallel()
	s := restored(t, written(t, filled(t)), backup.Options{Wait: 5 * time.Second})
	c, err := catalog.Open(t.Context(), s, "/other")
	require.NoError(t, err)
	require.Equal(t, 5*time.Second, c.Wait())
	require.Equal(t, uint64(node.Lift), c.Above())
	e, err := c.Lookup("/other/b")
	require.NoError(t, err)
	require.Equal(t, uint32(3000), e.Config.SessionGracePeriodMillis)
	snapshot := loaded(t, s, 1).Snapshot()
	require.Empty(t, snapshot.Sessions)
	require.Len(t, snapshot.Semaphores, 1)
	require.Equal(t, "data", string(snapshot.Semaphores[0].Data))

	again := restored(t, written(t, s), backup.Options{KeepSessions: true})
	c, err = catalog.Open(t.Context(), again, "/local")
	require.NoError(t, err)
	require.Equal(t, 5*time.Second, c.Wait())
	require.Equal(t, uint64(2*node.Lift), c.Above())
	require.NoError(t, c.Waited(t.Context()))
	require.NoError(t, c.Waited(t.Context()))
	require.Zero(t, c.Wait())
	require.Equal(t, uint64(2*node.Lift), c.Above())
	c, err = catalog.Open(t.Context(), again, "/local")
	require.NoError(t, err)
	require.Zero(t, c.Wait())
	require.Equal(t, uint64(2*node.Lift), c.Above())
}

func TestRestore_KeepSessions(t *testing.T) {
	t.Parallel()
	n := loaded(t, restored(t, written(t, filled(t)), backup.Options{KeepSessions: true}), 1)
	require.Len(t, n.Snapshot().Sessions, 1)
	require.Len(t, n.Snapshot().Semaphores, 2)
	var fx node.Effects
	n.Apply(2, node.Attach{Stream: 7, Session: 1, TimeoutMillis: 5000, ProtectionKey: []byte("0123456789abcdef")}, &fx)
	require.IsType(t, node.Attached{}, fx.Replies[0].Message)
}

// A backup of a server without nodes can be restored.
func TestRestore_Empty(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	defer func() { require.NoError(t, s.Close()) }()
	c, err := catalog.Open(t.Context(), restored(t, written(t, s), backup.Options{Wait: time.Second}), "/local")
	require.NoError(t, err)
	require.Equal(t, time.Second, c.Wait())
}

// An error of the writer or of the store ends a backup, and the file has no end.
func TestWrite_Fails(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	failed := errors.New("the disk is gone")
	err := backup.Write(&b, date, func(yield func(store.Record, error) bool) {
		for r, err := range filled(t).Snapshot(t.Context()) {
			if !yield(r, err) {
				return
			}
		}
		yield(store.Record{}, failed)
	})
	require.ErrorIs(t, err, failed)
	_, err = backup.Check(&b)
	require.ErrorIs(t, err, backup.ErrCut)
	r, w := io.Pipe()
	require.NoError(t, r.CloseWithError(failed))
	require.ErrorIs(t, backup.Write(w, date, filled(t).Snapshot(t.Context())), failed)
}
