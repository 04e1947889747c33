package logstore

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

// TestOpen_Syncs counts the syncs of an Open, which take most of its time: those of the newest segment, the ledger and
// the directory.
func TestOpen_Syncs(t *testing.T) {
	t.Parallel()
	states, _ := damageable(t)
	for state, img := range states {
		var syncs atomic.Int64
		var open atomic.Bool // Open ends with a search for the VERSION file
		s, err := Open(testDir, hooked(img.disk().options(nil), func(op, name string) error {
			switch {
			case op == "open" && name == stampName:
				open.Store(true)
			case op == "sync" && !open.Load():
				syncs.Add(1)
			}

			return nil
		}))
		require.NoError(t, err)
		require.True(t, open.Load())
		require.LessOrEqual(t, syncs.Load(), int64(3), state)
		require.NoError(t, s.Close())
	}
}

// TestOpen_EndInPadding cuts a segment off within the zero bytes after its last frame, as a write can that has extended
// the file and was cut short. The frame is intact, so its commit is kept, and the next one follows it.
func TestOpen_EndInPadding(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	first := &workload{batches: 1, reopenEvery: 1}
	require.NoError(t, first.run(t.Context(), d.options(nil)))
	img := d.image()
	name := segmentKind.name(1)
	f, size, ok := parseFrame(img[name][headerSize:], testSalt)
	require.True(t, ok)
	end, missing := headerSize+size, padding(frameHeader+len(f.payload))
	require.Positive(t, missing)
	for cut := range missing + 1 {
		grown := img.with(name, img[name][:end-cut:end-cut]).with(segmentKind.name(2), nil)
		after := grown.disk()
		s, err := Open(testDir, after.options(nil))
		require.NoError(t, err, "%d of %d bytes are missing", cut, missing)
		require.NoError(t, s.Commit(t.Context(), testBatch(1)))
		require.NoError(t, s.Close())
		require.NoError(t, recovers(t.Context(), after.options(nil), oneOf(history(2)[2:])))
	}
}

// TestOpen_TornData tears a large commit whose data looks like the size of a payload wherever a frame could begin. Open
// must not read a payload at each of these places.
func TestOpen_TornData(t *testing.T) {
	t.Parallel()
	size := binary.LittleEndian.AppendUint32(nil, 512<<10)
	for shift := range frameAlign / 2 {
		d := newMemDisk()
		s, err := Open(testDir, d.options(nil))
		require.NoError(t, err)
		require.NoError(t, s.Commit(t.Context(), testBatch(0)))
		data := strings.Repeat("x", shift) + strings.Repeat(string(size), 256<<10)
		require.NoError(t, s.Commit(t.Context(), store.Batch{Changes: []node.Record{storetest.Put("x", data)}}))
		img := d.image() // as if the process was killed
		require.NoError(t, s.Close())
		name := img.newestFrames(t)
		torn := img[name]
		require.Less(t, bytes.Index(torn, []byte(data)), sectorSize, "the commit is the first one of its segment")
		clear(torn[headerSize:sectorSize]) // the sector was not written
		var reads atomic.Int64
		s, err = Open(testDir, hooked(img.with(ledgerName, nil).disk().options(nil), func(op, _ string) error {
			if op == "read" {
				reads.Add(1)
			}

			return nil
		}))
		require.NoError(t, err)
		require.Less(t, reads.Load(), int64(200), "data moved by %d bytes", shift)
		require.NoError(t, s.Close())
	}
}

// TestStore_KillThenPowerCut kills a process before each of its changes of the disk, lets a second process open the
// store and commit, and cuts the power before one change of the second process and at its end. Changes that the first
// process made need not be durable when it is killed.
func TestStore_KillThenPowerCut(t *testing.T) {
	t.Parallel()
	const batches = 6
	models := history(batches + 1)
	for nth, done := int64(1), false; !done; nth++ {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 0))
		disk := newMemDisk()
		first := &workload{batches: batches, reopenEvery: 3}
		var changes, hits atomic.Int64
		err := first.run(t.Context(), disk.options(func(change) error {
			if changes.Add(1) >= nth {
				hits.Add(1)

				return syscall.EIO
			}

			return nil
		}))
		done = hits.Load() == 0
		if done {
			require.NoError(t, err)
		}

		var cuts []*memDisk
		cut := func() { cuts = append(cuts, disk.cut(0, nil), disk.cut(0.5, rng)) }
		at, count := 1+rng.Int64N(30), new(atomic.Int64)
		may := models[first.acked.Load() : first.begun.Load()+1]
		var seen storetest.Model
		require.NoError(t, recovers(t.Context(), disk.options(func(change) error {
			if count.Add(1) == at {
				cut()
			}

			return nil
		}), func(got storetest.Model) error {
			seen = got

			return oneOf(may)(got)
		}))
		during := len(cuts)
		cut()
		for i, after := range cuts {
			if i == during {
				may = []storetest.Model{seen}
			}
			require.NoError(t, recovers(t.Context(), after.options(nil), oneOf(may)), "seed %d: killed before change %d, "+
				"power cut before change %d of %d of the second process, variant %d", seed, nth, at, count.Load(), i)
		}
	}
}

// TestOpen_ForgedFrame tears a commit whose data contains what would be a later frame, if the salt of the segment were
// known. The commit is not durable, and nothing is damaged.
func TestOpen_ForgedFrame(t *testing.T) {
	t.Parallel()
	for salt, damage := range map[uint32]bool{0: false, testSalt ^ 1: false, testSalt: true} {
		forged := appendFrame(nil, math.MaxUint64, math.MaxUint64-1, func(b []byte) []byte { return append(b, 0, 0) })
		seal(forged, salt)
		data := strings.Repeat("x", 2*sectorSize)
		for shift := range frameAlign { // so that it begins where a frame can
			data += strings.Repeat("x", (shift-len(data))&(frameAlign-1)) + string(forged)
		}
		d := newMemDisk()
		s, err := Open(testDir, d.options(nil))
		require.NoError(t, err)
		require.NoError(t, s.Commit(t.Context(), testBatch(0)))
		img := d.image()
		end := len(bytes.TrimRight(img[segmentKind.name(1)], "\x00"))
		require.NoError(t, s.Commit(t.Context(), store.Batch{Changes: []node.Record{storetest.Put("x", data)}}))
		require.Less(t, end, sectorSize)
		torn := d.image()[segmentKind.name(1)]
		clear(torn[sectorSize : 2*sectorSize]) // the sector was not written
		require.NoError(t, s.Close())
		s, err = Open(testDir, img.with(segmentKind.name(1), torn).disk().options(nil))
		if damage {
			require.ErrorIs(t, err, store.ErrDamaged, "the test makes frames that pass")

			continue
		}
		require.NoError(t, err)
		require.Equal(t, uint64(1), s.commits)
		require.NoError(t, s.Close())
	}
}

// Nobody can guess the salt of a segment, so two have different ones.
func TestOpen_Salt(t *testing.T) {
	t.Parallel()
	salts := make(map[uint32]bool)
	for range 3 {
		dir := filepath.Join(t.TempDir(), "store")
		s, err := Open(dir, Options{})
		require.NoError(t, err)
		require.NoError(t, s.Close())
		header, err := os.ReadFile(filepath.Join(dir, segmentKind.name(1)))
		require.NoError(t, err)
		salts[binary.LittleEndian.Uint32(header[20:])] = true
	}
	require.Greater(t, len(salts), 1)
}
