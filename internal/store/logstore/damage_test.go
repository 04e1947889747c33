package logstore

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

// with returns a copy of the image in which the file has the given content, or is missing if content is nil.
func (img image) with(path string, content []byte) image {
	c := maps.Clone(img)
	delete(c, path)
	if content != nil {
		c[path] = content
	}

	return c
}

// newest returns the name of the newest file of the kind.
func (img image) newest(t *testing.T, k kind) string {
	t.Helper()
	names := slices.Sorted(maps.Keys(img))
	for _, name := range slices.Backward(names) {
		if _, ok := k.number(name); ok {
			return name
		}
	}
	t.Fatalf("there is no %s", k.suffix)

	return ""
}

// idle waits until no background work is left.
func idle(t *testing.T, s *Store) {
	t.Helper()
	require.Eventually(t, func() bool {
		names, err := s.disk.List()
		if err != nil || len(sortOut(names).leftovers) > 0 {
			return false
		}
		s.mu.Lock()
		defer s.mu.Unlock()

		return s.spare != nil && (len(s.segments) == 1 || s.base != nil && !s.worthMerging(s.segments[:len(s.segments)-1]))
	}, time.Minute, time.Millisecond)
}

// damageable returns the files of a store that has a snapshot and several segments, in two states: after its process
// was killed, and after it was closed. It also returns the contents of the store.
func damageable(t *testing.T) (states map[string]image, want storetest.Model) {
	t.Helper()
	const batches = 48
	d := newMemDisk()
	s, err := Open(testDir, d.options(nil))
	require.NoError(t, err)
	for i := range batches {
		require.NoError(t, s.Commit(t.Context(), testBatch(i)))
		idle(t, s)
	}
	states = map[string]image{"killed": d.image()}
	require.NoError(t, s.Close())
	states["closed"] = d.image()

	return states, history(batches)[batches]
}

// look opens the damaged store and loads it. It requires that either all contents are there or the error is ErrDamaged.
// If Open fails, look also requires that Open changed nothing.
func look(t *testing.T, damaged image, want storetest.Model, what string) (err error) {
	t.Helper()
	d := damaged.disk()
	s, err := Open(testDir, d.options(nil))
	if err != nil {
		require.ErrorIs(t, err, store.ErrDamaged, what)
		require.Equal(t, damaged, d.image(), "%s: Open changed something before it failed: %v", what, err)

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
			t.Run(state+" "+path, func(t *testing.T) {
				t.Parallel()
				content := img[path]
				step := max(1, len(content)/200)
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
	log, snapshot := img.newestFrames(t), img.newest(t, snapshotKind)
	spare := img.newest(t, segmentKind)
	require.NotEqual(t, log, spare)
	number, ok := snapshotKind.number(snapshot)
	require.True(t, ok)
	for name, test := range map[string]struct {
		files image
		says  string
	}{
		"log removed":        {img.with(log, nil), `.log" is missing`},
		"log and spare gone": {img.with(log, nil).with(spare, nil), "the newest commits are lost: "},
		"log cut off":        {img.with(log, img[log][:100]), "the newest commits are lost: "},
		"log cut to nothing": {img.with(log, []byte{}), "its header is broken"},
		"other number":       {img.with(log, img[spare]), "its header is broken"},
		"snapshot removed":   {img.with(snapshot, nil), `"/var/lib/store/00000001.log" is missing`},
		"snapshot cut off":   {img.with(snapshot, img[snapshot][:len(img[snapshot])/2]), "a checksum is wrong"},
		"only a ledger":      {image{ledgerName: img[ledgerName]}, "the log is missing, along with 48 acknowledged commits"},
		"only empty files":   {image{segmentKind.name(1): {}, segmentKind.name(2): {}}, "its header is broken"},
		"ledger garbled":     {img.with(ledgerName, []byte("garbled")), "remove the file"},
		"other snapshot":     {img.with(snapshotKind.name(number+1), img[snapshot]), "its header is broken"},
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

// newestFrames returns the name of the newest segment that has frames.
func (img image) newestFrames(t *testing.T) (newest string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(img)) {
		if _, ok := segmentKind.number(name); ok && len(bytes.TrimRight(img[name][headerSize:], "\x00")) > 0 {
			newest = name
		}
	}
	require.NotEmpty(t, newest)

	return newest
}

// The sections of a snapshot are read only after Open. So a load reports their damage, and the store stops.
func TestStore_DamageMetByLoad(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	s, err := Open(testDir, d.options(nil))
	require.NoError(t, err)
	for space := range store.Space(5) {
		require.NoError(t, s.Commit(t.Context(), store.Batch{Space: space, Changes: []node.Record{
			storetest.Put("k", fmt.Sprintf("%2000d of space %d", 0, space)),
		}}))
		idle(t, s)
	}
	require.NoError(t, s.Close())

	img := d.image()
	name := img.newest(t, snapshotKind)
	spoilt := bytes.ReplaceAll(img[name], []byte(" of space 1"), []byte(" of space 4"))
	require.NotEqual(t, img[name], spoilt)
	s, err = Open(testDir, img.with(name, spoilt).disk().options(nil))
	require.NoError(t, err)
	require.Len(t, storetest.Records(t, s, 0), 1)
	_, err = contents(t.Context(), s)
	require.ErrorIs(t, err, store.ErrDamaged)
	require.ErrorContains(t, err, "load space 1: ")
	err = s.Commit(t.Context(), store.Batch{Space: 2, Changes: []node.Record{storetest.Put("k", "v")}})
	require.ErrorIs(t, err, store.ErrDamaged)
	t.Log(err)
	require.NoError(t, s.Close())
}

// A broken frame that a later one calls durable is damage even without a ledger, which may be behind after a power cut.
// Otherwise it is the effect of the power cut, and what follows it must not come back later.
func TestStore_TornOrDamaged(t *testing.T) {
	t.Parallel()
	number := func(i int) []byte { return fmt.Appendf(nil, "value %d", i) }
	for name, test := range map[string]struct {
		groups  []int // numbers of commits that are written together
		breaks  int   // number of the commit whose frame breaks
		damaged bool
		want    int // number of commits that remain
	}{
		"the last":                      {[]int{1, 1, 1}, 3, false, 2},
		"the last but one":              {[]int{1, 1, 1}, 2, true, 0},
		"the first of the last group":   {[]int{1, 3}, 2, false, 1},
		"the second of the last group":  {[]int{1, 3}, 3, false, 2},
		"the last of a group before":    {[]int{3, 1}, 3, true, 0},
		"the first of an earlier group": {[]int{2, 2, 1}, 1, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newMemDisk()
			s, err := Open(testDir, d.options(nil))
			require.NoError(t, err)
			i := 0
			for _, size := range test.groups {
				s.mu.Lock()
				for range size {
					i++
					s.enter(s.pending, store.Batch{Space: 1, Changes: []node.Record{{Key: number(i), Value: number(i)}}}, 0)
				}
				require.NoError(t, s.lead(s.pending))
			}
			img := d.image()
			require.NoError(t, s.Close())
			img = img.with(ledgerName, appendCount(nil, 0))
			log := segmentKind.name(1)
			broken := bytes.Clone(img[log])
			at := bytes.Index(broken, number(test.breaks))
			require.Positive(t, at)
			broken[at]++

			d = img.with(log, broken).disk()
			s, err = Open(testDir, d.options(nil))
			if test.damaged {
				require.ErrorIs(t, err, store.ErrDamaged)
				require.ErrorContains(t, err, fmt.Sprintf(`00000001.log": commit %d is broken, and later ones follow`, test.breaks))

				return
			}
			require.NoError(t, err)
			require.Len(t, storetest.Records(t, s, 1), test.want)

			// The same commits again, one fewer than before.
			for i := test.breaks; i < 4; i++ {
				require.NoError(t, s.Commit(t.Context(), store.Batch{Space: 1, Changes: []node.Record{
					{Key: number(i), Value: number(i)},
				}}))
			}
			require.NoError(t, s.Close())
			s, err = Open(testDir, d.options(nil))
			require.NoError(t, err)
			require.Len(t, storetest.Records(t, s, 1), 3)
			require.NoError(t, s.Close())
		})
	}
}
