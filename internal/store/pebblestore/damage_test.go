package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

// image holds the contents of files, by path.
type image map[string][]byte

// imageOf copies the files under the directory, except the LOCK and OWNER files.
func imageOf(t *testing.T, disk vfs.FS, dir string) image {
	t.Helper()
	all := make(image)
	names, err := disk.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		path := disk.PathJoin(dir, name)
		info, err := disk.Stat(path)
		require.NoError(t, err)
		switch {
		case info.IsDir():
			maps.Copy(all, imageOf(t, disk, path))
		case name != lockName && name != ownerName:
			f, err := disk.Open(path)
			require.NoError(t, err)
			all[path], err = io.ReadAll(f)
			require.NoError(t, errors.Join(err, f.Close()))
		}
	}

	return all
}

// on writes the files to the disk.
func (img image) on(t *testing.T, disk vfs.FS) {
	t.Helper()
	for path, content := range img {
		require.NoError(t, disk.MkdirAll(disk.PathDir(path), 0o700))
		f, err := disk.Create(path, vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = f.Write(bytes.Clone(content)) // MemFS overwrites its argument in race builds
		require.NoError(t, errors.Join(err, f.Close()))
	}
}

// with returns a copy of the image in which the file has the given content, or is missing if content is nil.
func (img image) with(path string, content []byte) image {
	c := maps.Clone(img)
	delete(c, path)
	if content != nil {
		c[path] = content
	}

	return c
}

// find returns the sorted paths of the files whose base name matches the pattern. There must be at least one.
func (img image) find(t *testing.T, pattern string) (paths []string) {
	t.Helper()
	for path := range img {
		if ok, _ := filepath.Match(pattern, filepath.Base(path)); ok {
			paths = append(paths, path)
		}
	}
	require.NotEmpty(t, paths, pattern)
	slices.Sort(paths)

	return paths
}

// damageable returns the files of a store that has tables and a log, in two states: after its process was killed, and
// after it was closed. It also returns the contents of the store.
func damageable(t *testing.T) (states map[string]image, want storetest.Model) {
	t.Helper()
	const batches, inLog = 40, 8
	disk := vfs.NewCrashableMem()
	s, err := Open(testDir, testOptions(disk))
	require.NoError(t, err)
	for i := range batches + inLog {
		if i == batches {
			require.NoError(t, s.db.Flush())
		}
		require.NoError(t, s.Commit(t.Context(), testBatch(i)))
	}
	all := vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))}
	states = map[string]image{"killed": imageOf(t, disk.CrashClone(all), testDir)}
	require.NoError(t, s.Close())
	states["closed"] = imageOf(t, disk, testDir)

	return states, history(batches + inLog)[batches+inLog]
}

// metLate matches the error for damage to a table that Pebble's background work has found.
var metLate = regexp.MustCompile(`store is damaged: ".*\.sst": `)

// look opens the damaged store and loads it. It requires that either all contents are there or the error is ErrDamaged.
// If Open fails, look also requires that Open changed nothing.
func look(t *testing.T, damaged image, want storetest.Model, what string) (err error) {
	t.Helper()
	disk := vfs.NewMem()
	damaged.on(t, disk)
	s, err := Open(testDir, testOptions(disk))
	if err != nil {
		require.ErrorIs(t, err, store.ErrDamaged, what)
		if !metLate.MatchString(err.Error()) {
			require.Equal(t, damaged, imageOf(t, disk, testDir), "%s: Open changed something before it failed: %v", what, err)
		}

		return err
	}
	defer func() { require.NoError(t, s.Close(), what) }()
	got, err := contents(t.Context(), s)
	if err == nil {
		require.True(t, got.Equal(want), "%s: data was lost without an error: %v", what, got)
	} else {
		require.ErrorIs(t, err, store.ErrDamaged, what)
	}

	return err
}

// TestStore_Damage damages each file of a store in many ways: it flips a bit, cuts off the end, or removes the file.
// Either all acknowledged commits are there or the damage is reported. It is never taken for the effect of a power cut.
func TestStore_Damage(t *testing.T) {
	t.Parallel()
	states, want := damageable(t)
	for state, img := range states {
		require.NoError(t, look(t, img, want, state), "undamaged")
		for _, path := range slices.Sorted(maps.Keys(img)) {
			t.Run(state+" "+strings.TrimPrefix(path, testDir+"/"), func(t *testing.T) {
				t.Parallel()
				content := img[path]
				step := max(1, len(content)/25)
				trials, reported := 1, 0
				count := func(err error) {
					if trials++; err != nil {
						reported++
					}
				}
				for at := 0; at < len(content); at += step {
					spoilt := bytes.Clone(content)
					spoilt[at] ^= 1 << (at % 8)
					count(look(t, img.with(path, spoilt), want, fmt.Sprintf("bit %d of byte %d flipped", at%8, at)))
				}
				for end := 0; end < len(content); end += step {
					count(look(t, img.with(path, content[:end:end]), want, fmt.Sprintf("cut off at %d", end)))
				}
				count(look(t, img.with(path, nil), want, "removed"))
				t.Logf("%d bytes: %d of %d cases of damage were reported, the others had no effect",
					len(content), reported, trials)
			})
		}
	}
}

func TestStore_DamageIsReported(t *testing.T) {
	t.Parallel()
	states, want := damageable(t)
	img := states["killed"]
	db, ledger := testDir+"/"+dbName, testDir+"/"+ledgerName
	logs := img.find(t, "*.log")
	newestLog := logs[len(logs)-1] // holds the last two batches, because the batch before them was large
	cutOff := func(pattern string) image {
		c := img
		for _, path := range img.find(t, pattern) {
			c = c.with(path, img[path][:len(img[path])/2])
		}

		return c
	}
	without := func(pattern string) image {
		c := img
		for _, path := range img.find(t, pattern) {
			c = c.with(path, nil)
		}

		return c
	}
	for name, test := range map[string]struct {
		files image
		says  string
	}{
		"log removed":             {without("*.log"), "the newest commits are lost: "},
		"log cut off":             {img.with(newestLog, img[newestLog][:100]), "the newest commits are lost: "},
		"table removed":           {without("*.sst"), "file does not exist"},
		"table cut off":           {cutOff("*.sst"), "object size mismatch"},
		"manifest removed":        {without("MANIFEST-*"), "MANIFEST"},
		"manifest cut off":        {cutOff("MANIFEST-*"), "is damaged"},
		"marker removed":          {without("marker.manifest.*"), "database does not exist"},
		"format marker removed":   {without("marker.format-version.*"), "is damaged"},
		"database removed":        {image{ledger: img[ledger]}, `"pebble" is missing, along with 48 acknowledged commits`},
		"only empty files remain": {image{db + "/MANIFEST-000001": {}, db + "/000002.log": {}}, "database does not exist"},
		"ledger garbled":          {img.with(ledger, []byte("garbled")), "remove the file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := look(t, test.files, want, name)
			require.ErrorIs(t, err, store.ErrDamaged)
			require.ErrorContains(t, err, test.says)
			t.Log(err)
		})
	}
}

// Tables are read only after Open. So a load reports their damage, and the store stops.
func TestStore_DamageMetByLoad(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	opts := Options{disk: disk}
	s, err := Open(testDir, opts)
	require.NoError(t, err)
	noise := make([]byte, 4000) // not compressible, so that the value can be found in the table
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	for space := range store.Space(5) {
		require.NoError(t, s.Commit(t.Context(), store.Batch{Space: space, Changes: []node.Record{
			{Key: []byte("k"), Value: fmt.Appendf(nil, "%s of space %d", noise, space)},
		}}))
	}
	require.NoError(t, s.db.Flush())
	require.NoError(t, s.Close())

	img := imageOf(t, disk, testDir)
	spoilt := 0
	for _, path := range img.find(t, "*.sst") {
		if bytes.Contains(img[path], []byte(" of space 3")) {
			img = img.with(path, bytes.ReplaceAll(img[path], []byte(" of space 3"), []byte(" of space 4")))
			spoilt++
		}
	}
	require.Equal(t, 1, spoilt)
	disk = vfs.NewMem()
	img.on(t, disk)
	opts = Options{disk: disk}
	s, err = Open(testDir, opts)
	require.NoError(t, err)
	require.Len(t, storetest.Records(t, s, 1), 1)
	_, err = contents(t.Context(), s)
	require.ErrorIs(t, err, store.ErrDamaged)
	require.ErrorContains(t, err, "load space ")
	err = s.Commit(t.Context(), store.Batch{Space: 2, Changes: []node.Record{storetest.Put("k", "v")}})
	require.ErrorIs(t, err, store.ErrDamaged)
	t.Log(err)
	require.NoError(t, s.Close())
}

// TestStore_DamageInTheMiddle damages a store so that its manifest lacks the last records while its log is newer than
// these. The newest commits are there, but those in a table that the manifest no longer lists are not.
func TestStore_DamageInTheMiddle(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	// A compaction may occur at any time, and must not remove tables.
	keepTables, on, _ := failing(disk, errorfs.OpRemove, ".sst", syscall.EBUSY)
	on.Store(true)
	s, err := Open(testDir, testOptions(keepTables))
	require.NoError(t, err)
	flushed := func(key string) image {
		require.NoError(t, s.Commit(t.Context(), put(key)))
		require.NoError(t, s.db.Flush())

		return imageOf(t, disk, testDir)
	}
	early := flushed("1")
	flushed("2")
	require.NoError(t, s.Commit(t.Context(), put("3")))
	img := imageOf(t, disk, testDir)
	require.NoError(t, s.Close())

	manifests, logs := img.find(t, "MANIFEST-*"), img.find(t, "*.log")
	manifest := manifests[len(manifests)-1]
	require.Less(t, len(early[manifest]), len(img[manifest]))
	img = img.with(manifest, early[manifest])
	for _, older := range logs[:len(logs)-1] { // obsolete, and only kept for reuse
		img = img.with(older, nil)
	}
	err = look(t, img, nil, "older manifest")
	require.ErrorIs(t, err, store.ErrDamaged)
	require.ErrorContains(t, err, "commits are missing from the middle of the history")
}
