package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"tenure/internal/store"
	"tenure/internal/store/storetest"
	"tenure/internal/version"
)

func writeFile(t *testing.T, disk vfs.FS, name, content string) {
	t.Helper()
	image{name: []byte(content)}.on(t, disk)
}

// TestOpen_WritesVersion cuts the power before each change of the disk by the first Open. The VERSION file must be
// durable before a database has its final name.
func TestOpen_WritesVersion(t *testing.T) {
	t.Parallel()
	const want = "format 1, tenure v0.4.0\n"
	disk := vfs.NewCrashableMem()
	require.NoError(t, disk.MkdirAll(testDir, 0o700))
	require.NoError(t, syncPath(newFailstop(disk), testDir))
	var databases atomic.Int64 // atomic because Pebble also changes the disk from its own goroutines
	s, err := Open(testDir, testOptions(errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !isChange(op) {
			return nil
		}
		if _, err := disk.Stat(disk.PathJoin(testDir, dbName)); err == nil {
			databases.Add(1)
			if s := readStamp(disk.CrashClone(vfs.CrashCloneCfg{}), testDir); s != (stamp{1, "v0.4.0"}) {
				t.Errorf("there is a database, but VERSION contains %v", s)
			}
		}

		return nil
	}))))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.Positive(t, databases.Load())
	require.Equal(t, want, string(imageOf(t, disk, testDir)[testDir+"/VERSION"]))

	opts := testOptions(disk)
	opts.Version = "v0.5.0"
	s, err = Open(testDir, opts)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.Equal(t, want, string(imageOf(t, disk, testDir)[testDir+"/VERSION"]), "the first version is kept")
}

func TestOpen_VersionOfTheBuild(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	s, err := Open(testDir, Options{disk: disk})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.Equal(t, "format 1, tenure "+version.String()+"\n", string(imageOf(t, disk, testDir)[testDir+"/VERSION"]))
}

// Open does not depend on the content of VERSION and corrects it.
func TestOpen_CorrectsVersion(t *testing.T) {
	t.Parallel()
	const want = "format 1, tenure v0.4.0\n"
	for name, content := range map[string]string{
		"empty":            "",
		"garbled":          "\x00\x00\x00\x00",
		"cut off":          "format 1, tenure v0.3",
		"without version":  "format 1, tenure \n",
		"two lines":        "format 1, tenure v0.3.0\nformat 2, tenure v0.4.0\n",
		"control bytes":    "format 1, tenure \x1b[31mv0.3.0\n",
		"number too large": "format 99999999999999999999999, tenure v0.3.0\n",
		"long":             "format 1, tenure " + strings.Repeat("v", maxStamp) + "\n",
		"other format":     "format 7, tenure v9.9.9\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "format1"))))
			require.NoError(t, os.WriteFile(filepath.Join(dir, stampName), []byte(content), 0o600))
			s, err := Open(dir, Options{Version: "v0.4.0"})
			require.NoError(t, err)
			golden(t, s)
			require.NoError(t, s.Close())
			got, err := os.ReadFile(filepath.Join(dir, stampName))
			require.NoError(t, err)
			require.Equal(t, want, string(got))
		})
	}
}

// TestOpen_CannotWriteVersion makes each change that writes the VERSION file fail. The store still opens, and no
// partial file is left behind.
func TestOpen_CannotWriteVersion(t *testing.T) {
	t.Parallel()
	states, want := damageable(t)
	img := states["closed"].with(testDir+"/VERSION", nil)
	for _, kind := range []errorfs.OpKind{errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpRename} {
		mem := vfs.NewMem()
		img.on(t, mem)
		disk, on, hits := failing(mem, kind, "/VERSION.new", errors.New("no"))
		on.Store(true)
		require.NoError(t, recovers(t.Context(), disk, oneOf([]storetest.Model{want})))
		require.Equal(t, int64(1), hits.Load())
		for path := range imageOf(t, mem, testDir) {
			require.NotContains(t, path, "VERSION", "kind %d", kind)
		}
	}
}

func TestOpen_NewerNamesTheVersion(t *testing.T) {
	t.Parallel()
	format2 := func(t *testing.T, disk vfs.FS) {
		t.Helper()
		with(t, disk, func(b *pebble.Batch) error {
			return b.Set(formatKey, binary.BigEndian.AppendUint64(nil, 2), nil)
		})
	}
	gone := func(*testing.T, vfs.FS) {}
	unknown := func(t *testing.T, disk vfs.FS) {
		t.Helper()
		writeFile(t, disk, testDir+"/pebble/data", "of another kind")
	}
	otherLedger := func(t *testing.T, disk vfs.FS) {
		t.Helper()
		writeFile(t, disk, testDir+"/ACKED", "of another kind")
	}
	newPebble := func(t *testing.T, disk vfs.FS) {
		t.Helper()
		with(t, disk, func(*pebble.Batch) error { return nil })
		marker := imageOf(t, disk, testDir).find(t, "marker.format-version.*")[0]
		require.NoError(t, disk.Rename(marker, marker[:len(marker)-3]+"999"))
	}
	const known = `store format is too new (format 2, written by tenure v1.3.0; this is tenure v0.4.0, which reads up ` +
		`to format 1): run tenure v1.3.0 or later`
	develKnown := strings.ReplaceAll(known, "v1.3.0", "devel 0123456789ab")
	pebbleKnown := pebbles(", written by tenure v1.3.0", "tenure v1.3.0 or later")
	pebbleFallback := pebbles("", "the version that wrote it, or a later one")
	const fallback = `store format is too new (format 2; this is tenure v0.4.0, which reads up to format 1): ` +
		`run the version that wrote it, or a later one`
	for name, test := range map[string]struct {
		make  func(*testing.T, vfs.FS)
		stamp string
		says  string
	}{
		"format":                {format2, "format 2, tenure v1.3.0\n", known},
		"format, no VERSION":    {format2, "", fallback},
		"format, bad VERSION":   {format2, "format 2, ten", fallback},
		"format, own VERSION":   {format2, "format 1, tenure v0.4.0\n", fallback},
		"format, old VERSION":   {format2, "format 1, tenure v0.3.0\n", fallback},
		"no database":           {gone, "format 2, tenure v1.3.0\n", known},
		"unknown database":      {unknown, "format 2, tenure v1.3.0\n", known},
		"unknown ledger":        {otherLedger, "format 2, tenure v1.3.0\n", known},
		"devel":                 {format2, "format 2, tenure devel 0123456789ab\n", develKnown},
		"Pebble's, both newer":  {newPebble, "format 2, tenure v1.3.0\n", pebbleKnown},
		"Pebble's only":         {newPebble, "format 1, tenure v1.3.0\n", pebbleKnown},
		"Pebble's, no VERSION":  {newPebble, "", pebbleFallback},
		"Pebble's, own VERSION": {newPebble, "format 1, tenure v0.4.0\n", pebbleFallback},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := vfs.NewMem()
			require.NoError(t, disk.MkdirAll(testDir, 0o700))
			test.make(t, disk)
			require.NoError(t, disk.RemoveAll(testDir+"/VERSION"))
			if test.stamp != "" {
				writeFile(t, disk, testDir+"/VERSION", test.stamp)
			}
			before := imageOf(t, disk, testDir)
			_, err := Open(testDir, testOptions(disk))
			require.ErrorIs(t, err, store.ErrNewer)
			require.NotErrorIs(t, err, store.ErrDamaged)
			require.EqualError(t, err, `open store "/var/lib/store": `+test.says)
			require.Equal(t, before, imageOf(t, disk, testDir))
		})
	}
}

func pebbles(writer, run string) string {
	return fmt.Sprintf(`store format is too new (Pebble format 999%s; this is tenure v0.4.0, which reads up to `+
		`Pebble format %d): run %s`, writer, pebble.FormatNewest, run)
}
