package pebblestore

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

var update = flag.Bool("update", false, "rewrite testdata; use it only for a format that no release has written")

// goldenBatches are the contents of the store in testdata/format1, partly in a table and partly in the log.
var goldenBatches = []store.Batch{
	{Space: store.Catalog, Changes: []node.Record{storetest.Put("/local", "directory"), storetest.Put("", "")}},
	{Space: 1, Changes: []node.Record{storetest.Put("c", "\x01\x02\x03"), storetest.Put("m\x00\xff", "semaphore")}},
	{Space: 2, Changes: []node.Record{storetest.Put("c", "dropped later")}},
	{Space: 0x0102030405060708, Changes: []node.Record{storetest.Put("s", "session")}},
	{Space: 1, Changes: []node.Record{storetest.Del("c"), storetest.Put("l", "link")}, Drop: []store.Space{2}},
}

func golden(t *testing.T, s store.Store) {
	t.Helper()
	require.Equal(t, []string{`""=""`, `"/local"="directory"`}, storetest.Records(t, s, store.Catalog))
	require.Equal(t, []string{`"l"="link"`, `"m\x00\xff"="semaphore"`}, storetest.Records(t, s, 1))
	require.Empty(t, storetest.Records(t, s, 2))
	require.Equal(t, []string{`"s"="session"`}, storetest.Records(t, s, 0x0102030405060708))
}

// TestFormat_EveryVersionIsReadable opens a store of each format version.
func TestFormat_EveryVersionIsReadable(t *testing.T) {
	t.Parallel()
	if *update {
		writeGolden(t, filepath.Join("testdata", fmt.Sprintf("format%d", formatVersion)))
	}
	for version := 1; version <= formatVersion; version++ {
		dir := filepath.Join(t.TempDir(), "store")
		require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", fmt.Sprintf("format%d", version)))))
		for range 2 {
			s, err := Open(dir, Options{})
			require.NoError(t, err)
			golden(t, s)
			require.NoError(t, s.Commit(t.Context(), store.Batch{Space: 9, Changes: []node.Record{storetest.Put("k", "v")}}))
			require.NoError(t, s.Close())
		}
	}
}

func writeGolden(t *testing.T, dir string) {
	t.Helper()
	disk := vfs.NewMem() // does not preallocate, which keeps the files small
	s, err := Open(testDir, Options{disk: disk})
	require.NoError(t, err)
	for i, b := range goldenBatches {
		require.NoError(t, s.Commit(t.Context(), b))
		if i == 2 {
			require.NoError(t, s.db.Flush())
		}
	}
	require.NoError(t, s.Close())
	require.NoError(t, os.RemoveAll(dir))
	for path, content := range imageOf(t, disk, testDir) {
		name := filepath.Join(dir, strings.TrimPrefix(path, testDir))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, content, 0o600))
	}
}

// TestFormat_Keys checks the bytes of every key and value.
func TestFormat_Keys(t *testing.T) {
	t.Parallel()
	s, err := Open(testDir, Options{disk: vfs.NewMem()})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	for _, b := range goldenBatches {
		require.NoError(t, s.Commit(t.Context(), b))
	}
	it, err := s.db.NewIter(nil)
	require.NoError(t, err)
	var got []string
	for it.First(); it.Valid(); it.Next() {
		got = append(got, fmt.Sprintf("%x = %x", it.Key(), it.Value()))
	}
	require.NoError(t, it.Close())
	require.Equal(t, []string{
		"00 = 0000000000000001",
		"0000 = 00000000000000000000000000000005",
		"0000000000000000 = ",
		"00000000000000002f6c6f63616c = 6469726563746f7279",
		"00000000000000016c = 6c696e6b",
		"00000000000000016d00ff = 73656d6170686f7265",
		"010203040506070873 = 73657373696f6e",
	}, got)
}

// with creates a store and applies a change directly to its database.
func with(t *testing.T, disk vfs.FS, change func(*pebble.Batch) error) {
	t.Helper()
	s, err := Open(testDir, testOptions(disk))
	require.NoError(t, err)
	b := s.db.NewBatch()
	require.NoError(t, change(b))
	require.NoError(t, b.Commit(pebble.Sync))
	require.NoError(t, s.Close())
}

func TestOpen_OtherFormats(t *testing.T) {
	t.Parallel()
	set := func(value []byte) func(*pebble.Batch) error {
		return func(b *pebble.Batch) error { return b.Set(formatKey, value, nil) }
	}
	for name, test := range map[string]struct {
		change func(*pebble.Batch) error
		is     error
		says   string
	}{
		"newer": {
			set(binary.BigEndian.AppendUint64(nil, formatVersion+1)), store.ErrNewer,
			`open store "/var/lib/store": store format is too new (format 2; this is tenure v0.4.0, which reads up to ` +
				`format 1): run the version that wrote it, or a later one`,
		},
		"zero":    {set(make([]byte, 8)), store.ErrDamaged, "format version is 0"},
		"garbled": {set([]byte("1")), store.ErrDamaged, "format version has length 1 instead of 8"},
		"missing": {
			func(b *pebble.Batch) error { return b.Delete(formatKey, nil) }, store.ErrDamaged,
			"format version: pebble: not found: restore a backup, or move the directory away to start with an empty store",
		},
		"run missing": {
			func(b *pebble.Batch) error { return b.Delete(commitsKey, nil) }, store.ErrDamaged, "record of commits",
		},
		"commit missing": {
			func(b *pebble.Batch) error { return b.Merge(commitsKey, run{2, 2}.encode(), nil) }, store.ErrDamaged,
			"commits are missing from the middle of the history",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := vfs.NewMem()
			with(t, disk, test.change)
			before := imageOf(t, disk, testDir)
			for range 2 {
				_, err := Open(testDir, testOptions(disk))
				require.ErrorIs(t, err, test.is)
				require.ErrorContains(t, err, test.says)
				require.Equal(t, before, imageOf(t, disk, testDir), "Open changed something")
			}
		})
	}
}

// A store without a ledger can be opened and gets a new one.
func TestOpen_WithoutLedger(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	s, err := Open(testDir, testOptions(disk))
	require.NoError(t, err)
	require.NoError(t, s.Commit(t.Context(), put("k")))
	require.NoError(t, s.Close())
	ledger := disk.PathJoin(testDir, ledgerName)
	require.NoError(t, disk.Remove(ledger))

	s, err = Open(testDir, testOptions(disk))
	require.NoError(t, err)
	require.Len(t, storetest.Records(t, s, 1), 1)
	require.NoError(t, s.Close())
	acked, err := readLedger(disk, ledger)
	require.NoError(t, err)
	require.Equal(t, uint64(1), acked)
}
