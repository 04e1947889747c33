package logstore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/store"
	"tenure/internal/store/storetest"
	"tenure/internal/version"
)

// TestOpen_WritesVersion cuts the power before each change of the disk by the first Open. The VERSION file must be
// durable before there is a segment.
func TestOpen_WritesVersion(t *testing.T) {
	t.Parallel()
	const want = "format 4, tenure v0.4.0\n"
	d := newMemDisk()
	var segments atomic.Int64 // atomic because background work changes the disk too
	s, err := Open(testDir, d.options(func(change) error {
		img := d.cut(0, nil).image()
		if _, ok := img[segmentKind.name(1)]; ok {
			segments.Add(1)
			if got := string(img[stampName]); got != want {
				t.Errorf("there is a segment, but VERSION contains %q", got)
			}
		}

		return nil
	}))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.Positive(t, segments.Load())
	require.Equal(t, want, string(d.image()[stampName]))

	opts := d.options(nil)
	opts.Version = "v0.5.0"
	s, err = Open(testDir, opts)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.Equal(t, want, string(d.image()[stampName]), "the first version is kept")
}

func TestOpen_VersionOfTheBuild(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	opts := d.options(nil)
	opts.Version = ""
	s, err := Open(testDir, opts)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.Equal(t, "format 4, tenure "+version.String()+"\n", string(d.image()[stampName]))
}

// Open does not depend on the content of VERSION and corrects it.
func TestOpen_CorrectsVersion(t *testing.T) {
	t.Parallel()
	const want = "format 4, tenure v0.4.0\n"
	for name, content := range map[string]string{
		"empty":            "",
		"garbled":          "\x00\x00\x00\x00",
		"cut off":          "format 1, tenure v0.3",
		"without version":  "format 1, tenure \n",
		"two lines":        "format 1, tenure v0.3.0\nformat 4, tenure v0.4.0\n",
		"control bytes":    "format 1, tenure \x1b[31mv0.3.0\n",
		"number too large": "format 99999999999999999999999, tenure v0.3.0\n",
		"long":             "format 1, tenure " + strings.Repeat("v", maxStamp) + "\n",
		"other format":     "format 7, tenure v9.9.9\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "format4"))))
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
	img := states["closed"].with(stampName, nil)
	for _, test := range []struct{ op, suffix string }{
		{"create", "VERSION.new"}, {"write", "VERSION.new"}, {"sync", "VERSION.new"}, {"rename", "VERSION"},
	} {
		mem, f := img.disk(), &failing{op: test.op, suffix: test.suffix, err: errors.New("no")}
		f.on.Store(true)
		require.NoError(t, recovers(t.Context(), hooked(mem.options(nil), f.before), oneOf([]storetest.Model{want})))
		require.Equal(t, int64(1), f.hits.Load(), f.op)
		for name := range mem.image() {
			require.NotContains(t, name, stampName, f.op)
		}
	}
}

func TestOpen_NewerNamesTheVersion(t *testing.T) {
	t.Parallel()
	plain := written(t).with(stampName, nil)
	newer := plain.format(segmentKind.name(2), formatVersion+1)
	const (
		known = `store format is too new (format 5, written by tenure v1.3.0; this is tenure v0.4.0, ` +
			`which reads format 4): ` +
			`run tenure v1.3.0 or later`
		fallback = `store format is too new (format 5; this is tenure v0.4.0, which reads format 4): ` +
			`run the version that wrote it, or a later one`
	)
	for name, test := range map[string]struct {
		img   image
		stamp string
		says  string
	}{
		"format":              {newer, "format 5, tenure v1.3.0\n", known},
		"format, no VERSION":  {newer, "", fallback},
		"format, bad VERSION": {newer, "format 5, ten", fallback},
		"format, own VERSION": {newer, "format 4, tenure v0.4.0\n", fallback},
		"format, old VERSION": {newer, "format 4, tenure v0.3.0\n", fallback},
		"no log":              {image{}, "format 5, tenure v1.3.0\n", known},
		"unknown log": {
			plain.with(segmentKind.name(2), []byte("of another kind")), "format 5, tenure v1.3.0\n", known,
		},
		"unknown ledger": {plain.with(ledgerName, []byte("of another kind")), "format 5, tenure v1.3.0\n", known},
		"devel": {
			newer, "format 5, tenure devel 0123456789ab\n", strings.ReplaceAll(known, "v1.3.0", "devel 0123456789ab"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			img := test.img
			if test.stamp != "" {
				img = img.with(stampName, []byte(test.stamp))
			}
			d := img.disk()
			_, err := Open(testDir, d.options(nil))
			require.ErrorIs(t, err, store.ErrNewer)
			require.NotErrorIs(t, err, store.ErrDamaged)
			require.EqualError(t, err, `open store "/var/lib/store": `+test.says)
			require.Equal(t, img, d.image())
		})
	}
}
