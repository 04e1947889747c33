package logstore

import (
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

var update = flag.Bool("update", false, "rewrite testdata; use it only for a format that no release has written")

// goldenBatches are the contents of the store in testdata/format4, partly in a snapshot and partly in a segment.
var goldenBatches = []store.Batch{
	{Space: store.Catalog, Changes: []node.Record{storetest.Put("/local", "directory"), storetest.Put("", "")}},
	{Space: 1, Changes: []node.Record{storetest.Put("c", "\x01\x02\x03"), storetest.Put("m\x00\xff", "semaphore")}},
	{Space: 2, Changes: []node.Record{storetest.Put("c", "dropped later")}},
	{Space: 0x0102030405060708, Changes: []node.Record{storetest.Put("s", "session")}},
	{Space: 1, Changes: []node.Record{storetest.Del("c"), storetest.Put("l", "link")}, Drop: []store.Space{2}},
}

// goldenSize is such that three batches fill the first segment.
const goldenSize = 200

func golden(t *testing.T, s store.Store) {
	t.Helper()
	require.Equal(t, []string{`""=""`, `"/local"="directory"`}, storetest.Records(t, s, store.Catalog))
	require.Equal(t, []string{`"l"="link"`, `"m\x00\xff"="semaphore"`}, storetest.Records(t, s, 1))
	require.Empty(t, storetest.Records(t, s, 2))
	require.Equal(t, []string{`"s"="session"`}, storetest.Records(t, s, 0x0102030405060708))
}

// written returns the files that a store has after the golden batches.
func written(t *testing.T) image {
	t.Helper()
	d := newMemDisk()
	opts := d.options(nil)
	opts.LogSize = goldenSize
	s, err := Open(testDir, opts)
	require.NoError(t, err)
	for _, b := range goldenBatches {
		idle(t, s)
		require.NoError(t, s.Commit(t.Context(), b))
	}
	idle(t, s)
	require.NoError(t, s.Close())

	return d.image()
}

// TestFormat_EveryVersionIsReadable opens a store of each format version that can be read.
func TestFormat_EveryVersionIsReadable(t *testing.T) {
	t.Parallel()
	if *update {
		dir := filepath.Join("testdata", fmt.Sprintf("format%d", formatVersion))
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, os.MkdirAll(dir, 0o700))
		for name, content := range written(t) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
		}
	}
	for version := oldestFormat; version <= formatVersion; version++ {
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

// TestOpen_RaisesTheFormat opens a store of each older format, and cuts the power before each change of the disk. The
// store can be opened after each cut. When Open returns, and after merges, versions that do not know this format refuse
// the store.
func TestOpen_RaisesTheFormat(t *testing.T) {
	t.Parallel()
	for version := oldestFormat; version < formatVersion; version++ {
		for _, spare := range []bool{true, false} {
			old := readImage(t, filepath.Join("testdata", fmt.Sprintf("format%d", version)))
			require.Contains(t, old, segmentKind.name(3))
			if !spare {
				old = old.with(segmentKind.name(3), nil)
			}
			var cuts atomic.Int64 // also in the background
			d := old.disk()
			opts := d.options(func(change) error {
				cuts.Add(1)
				s, err := Open(testDir, d.cut(0, nil).options(nil))
				if err != nil {
					return err
				}
				golden(t, s)

				return s.Close()
			})
			opts.LogSize = goldenSize
			s, err := Open(testDir, opts)
			require.NoError(t, err)
			require.Positive(t, cuts.Load())
			require.True(t, d.image().refusedBefore(formatVersion))
			for n := range 20 {
				key := fmt.Sprintf("key %d", n)
				require.NoError(t, s.Commit(t.Context(), store.Batch{Space: 9, Changes: []node.Record{storetest.Put(key, "v")}}))
				require.True(t, d.image().refusedBefore(formatVersion))
			}
			golden(t, s)
			require.NoError(t, s.Close())
		}
	}
}

// refusedBefore reports whether versions before the one that introduced the format refuse the store: they check the
// header of each segment and of the snapshot.
func (img image) refusedBefore(format uint32) bool {
	for name, content := range img {
		_, seg := segmentKind.number(name)
		_, snap := snapshotKind.number(name)
		if (seg || snap) && binary.LittleEndian.Uint32(content[8:]) == format {
			return true
		}
	}

	return false
}

// This version writes exactly what is in the golden files.
func TestFormat_IsWritten(t *testing.T) {
	t.Parallel()
	require.Equal(t, readImage(t, filepath.Join("testdata", fmt.Sprintf("format%d", formatVersion))), written(t))
}

// readImage returns the files in a directory.
func readImage(t *testing.T, dir string) image {
	t.Helper()
	img := make(image)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, f := range files {
		img[f.Name()], err = os.ReadFile(filepath.Join(dir, f.Name()))
		require.NoError(t, err)
	}

	return img
}

// TestFormat_Bytes checks each byte against docs/store.md.
func TestFormat_Bytes(t *testing.T) {
	t.Parallel()
	img := written(t)

	// Segment 2: magic, format, checksum, number, salt.
	magic, number := hex.EncodeToString([]byte("tenurlog"))+"04000000", "0200000001020304"
	header := magic + sum(t, magic, number) + number
	// A frame: checksum, size, number 4, durable number 3; then the space as a varint, no space to drop, a key with its
	// value; then padding.
	head := "14000000" + "0400000000000000" + "0300000000000000"
	payload := "888e98a8c0e0808101" + "00" + "0273" + "07" + hex.EncodeToString([]byte("session"))
	require.Len(t, payload, 2*0x14)
	frames := salted(t, head, payload) + head + payload + "00000000"
	// Space 1, one space to drop, which is 2; key "c" is deleted, key "l" has a value.
	head = "0c000000" + "0500000000000000" + "0400000000000000"
	payload = "01" + "0102" + "0363" + "026c" + "04" + hex.EncodeToString([]byte("link"))
	require.Len(t, payload, 2*0x0c)
	frames += salted(t, head, payload) + head + payload + "00000000"
	log, want := hex.EncodeToString(img["00000002.log"]), header+frames
	require.Len(t, log, 2*goldenSize)
	require.Equal(t, want, log[:len(want)])
	require.Regexp(t, "^0*$", log[len(want):])

	// Snapshot 1: a header, a section for each of three spaces, an index and a footer.
	magic, number = hex.EncodeToString([]byte("tenursnp"))+"04000000", "0100000000000000"
	snapshot := magic + sum(t, magic, number) + number
	block := func(content string) string {
		size := hex.EncodeToString(binary.LittleEndian.AppendUint32(nil, uint32(len(content)/2)))

		return sum(t, size, content) + size + content
	}
	text := func(s string) string { return fmt.Sprintf("%02x%x", len(s), s) }
	index := ""
	for space, records := range []string{
		text("") + text("") + text("/local") + text("directory"),
		text("c") + "03010203" + "036d00ff" + text("semaphore"),
		text("c") + text("dropped later"),
	} {
		section := block(records)
		index += fmt.Sprintf("%02x%02x", space, len(section)/2)
		snapshot += section
	}
	footer := "0300000000000000" + hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, uint64(len(snapshot)/2)))
	require.Equal(t, snapshot+block(index)+footer+sum(t, footer)+"00000000", hex.EncodeToString(img["00000001.snapshot"]))

	require.Equal(t, "0500000000000000"+sum(t, "0500000000000000"), hex.EncodeToString(img["ACKED"]))
	require.Equal(t, "format 4, tenure v0.4.0\n", string(img["VERSION"]))
}

// sum returns the CRC-32C of the parts, all in hexadecimal.
func sum(t *testing.T, parts ...string) string {
	t.Helper()

	return sumFrom(t, 0, parts...)
}

// salted is the same for a frame of a segment with testSalt.
func salted(t *testing.T, parts ...string) string {
	t.Helper()

	return sumFrom(t, testSalt, parts...)
}

func sumFrom(t *testing.T, crc uint32, parts ...string) string {
	t.Helper()
	var all []byte
	for _, part := range parts {
		b, err := hex.DecodeString(part)
		require.NoError(t, err)
		all = append(all, b...)
	}
	crc = crc32.Update(crc, crc32.MakeTable(crc32.Castagnoli), all)

	return hex.EncodeToString(binary.LittleEndian.AppendUint32(nil, crc))
}

// A store of format 1, which is a Pebble database, is refused and stays as it is. The message names the version that
// can read the store if the store has recorded it.
func TestOpen_OlderFormat(t *testing.T) {
	t.Parallel()
	for stamp, says := range map[string]string{
		"": `store format is too old (format 1; this is tenure v0.4.0, which reads format 4): ` +
			`run the version that wrote it, ` +
			`or move the directory away to start with an empty store`,
		"format 1, tenure v0.3.0\n": `store format is too old (format 1, written by tenure v0.3.0; this is tenure v0.4.0, ` +
			`which reads format 4): run tenure v0.3.0, or move the directory away to start with an empty store`,
	} {
		dir := filepath.Join(t.TempDir(), "store")
		require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "format1"))))
		if stamp != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, stampName), []byte(stamp), 0o600))
		}
		before := tree(t, dir)
		for range 2 {
			_, err := Open(dir, Options{Version: "v0.4.0"})
			require.ErrorIs(t, err, store.ErrOlder)
			require.EqualError(t, err, fmt.Sprintf("open store %q: %s", dir, says))
			require.Equal(t, before, tree(t, dir))
		}
	}
}

// tree returns the contents of all files in the directory except LOCK, by path.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == LockName {
			return err
		}
		content, err := os.ReadFile(path)
		all[path] = string(content)

		return err
	}))

	return all
}

func TestOpen_OtherFormats(t *testing.T) {
	t.Parallel()
	log, snapshot := segmentKind.name(2), snapshotKind.name(1)
	img := written(t).with(stampName, nil)
	const newer = `open store "/var/lib/store": store format is too new (format 5; this is tenure v0.4.0, which reads ` +
		`format 4): run the version that wrote it, or a later one`
	broken := func(name string) string {
		return fmt.Sprintf(`open store "/var/lib/store": store is damaged: "/var/lib/store/%s": its header is broken: `+
			`restore a backup, or move the directory away to start with an empty store`, name)
	}
	for name, test := range map[string]struct {
		img  image
		is   error
		says string
	}{
		"newer segment":    {img.format(log, formatVersion+1), store.ErrNewer, newer},
		"newer snapshot":   {img.format(snapshot, formatVersion+1), store.ErrNewer, newer},
		"zero":             {img.format(log, 0), store.ErrDamaged, broken(log)},
		"older":            {img.format(snapshot, 1), store.ErrDamaged, broken(snapshot)},
		"garbled segment":  {img.with(log, []byte("not a segment, but of some length")), store.ErrDamaged, broken(log)},
		"garbled snapshot": {img.with(snapshot, img[log]), store.ErrDamaged, broken(snapshot)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := test.img.disk()
			for range 2 {
				_, err := Open(testDir, d.options(nil))
				require.ErrorIs(t, err, test.is)
				require.EqualError(t, err, test.says)
				require.Equal(t, test.img, d.image(), "Open changed something")
			}
		})
	}
}

// format returns the image with another format version in the header of the file.
func (img image) format(name string, version uint32) image {
	b := append([]byte(nil), img[name]...)
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint32(b[12:], headerSum(b))

	return img.with(name, b)
}

// A store without a ledger can be opened and gets a new one.
func TestOpen_WithoutLedger(t *testing.T) {
	t.Parallel()
	img := written(t)
	d := img.with(ledgerName, nil).disk()
	s, err := Open(testDir, d.options(nil))
	require.NoError(t, err)
	golden(t, s)
	require.NoError(t, s.Close())
	require.Equal(t, img[ledgerName], d.image()[ledgerName])
}
