package logstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tenure/internal/node"
	"tenure/internal/store"
)

// slowLatest returns the latest change of each key, in order of the keys.
func slowLatest(changes []node.Record) (latest []node.Record) {
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(a, b node.Record) int { return bytes.Compare(a.Key, b.Key) })
	for i, r := range changes {
		if i+1 == len(changes) || !bytes.Equal(r.Key, changes[i+1].Key) {
			latest = append(latest, r)
		}
	}

	return latest
}

// drawKeys returns keys as nodes write them, or arbitrary ones of different lengths, many of which have the same
// beginning.
func drawKeys(t *rapid.T) [][]byte {
	id := rapid.SampledFrom([]uint64{0, 1, 200, 70_000, 1 << 60})
	first, spreads := id.Draw(t, "first"), []uint64{id.Draw(t, "spread 1"), id.Draw(t, "spread 2"), 1}
	kind := rapid.SampledFrom([]string{"", "a", "c", "l", "m", "s", "\x00", "\xff"})
	kinds := rapid.SliceOfN(kind, 1, 4).Draw(t, "kinds")
	lengths := rapid.SampledFrom([][]int{{0}, {8}, {16}, {24}, {0, 8, 16, 24}, {1, 2, 15, 16, 17, 18}}).Draw(t, "lengths")
	keys := make([][]byte, rapid.SampledFrom([]int{1, 3, fewEntries, 3 * fewEntries}).Draw(t, "keys"))
	for i := range keys {
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		if kind == "" {
			continue // the empty key, and otherwise a byte and ids
		}
		keys[i] = []byte(kind)
		for _, spread := range spreads {
			keys[i] = binary.BigEndian.AppendUint64(keys[i], first+rapid.Uint64Range(0, spread).Draw(t, "id"))
		}
		keys[i] = keys[i][:1+rapid.SampledFrom(lengths).Draw(t, "length")]
	}
	if rapid.Bool().Draw(t, "ascending") {
		slices.SortFunc(keys, bytes.Compare)
	}

	return keys
}

// checkFold compares a fold with slowLatest.
func checkFold(t *rapid.T) {
	f := fold{limit: rapid.SampledFrom([]int{0, 1, 500, 5_000}).Draw(t, "limit")}
	keys := drawKeys(t)
	values := rapid.SampledFrom([]string{"", "1", "value", strings.Repeat("large", 60_000)})
	var all []node.Record
	for range rapid.IntRange(0, 5).Draw(t, "batches") {
		var b []node.Record
		for range rapid.IntRange(1, 2*len(keys)).Draw(t, "changes") {
			r := node.Record{Key: rapid.SampledFrom(keys).Draw(t, "key")}
			if rapid.Bool().Draw(t, "put") {
				r.Value = []byte(values.Draw(t, "value"))
			}
			b = append(b, r)
		}
		require.NoError(t, f.apply(encoded(t, b)))
		all = append(all, b...)
	}
	want := slowLatest(all)
	for changes := f.latest(); changes.next(); want = want[1:] {
		require.NotEmpty(t, want)
		require.Equal(t, string(want[0].Key), string(changes.record.Key))
		require.Equal(t, string(want[0].Value), string(changes.record.Value))
		require.Equal(t, want[0].Value == nil, changes.record.Value == nil)
	}
	require.Empty(t, want)
}

// encoded returns changes as a frame has them.
func encoded(t require.TestingT, changes []node.Record) []byte {
	_, _, b, err := decodeHead(appendBatch(nil, store.Batch{Space: 1, Changes: changes}))
	require.NoError(t, err)

	return b
}

// A fold has the latest change of each key, in order of the keys.
func TestFold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, checkFold)
}

func FuzzFold(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkFold)) }

// A fold has the latest change of each key of a real log.
func TestFold_Pairs(t *testing.T) {
	t.Parallel()
	commits, _ := pairsLog(t, 1_000)
	var f fold
	var all []node.Record
	for _, c := range commits {
		require.NoError(t, f.apply(c))
		for d := (decoder{rest: c}); len(d.rest) > 0; {
			key, value := d.change()
			all = append(all, node.Record{Key: key, Value: value})
		}
	}
	want := slowLatest(all)
	for changes := f.latest(); changes.next(); want = want[1:] {
		require.Equal(t, want[0], changes.record)
	}
	require.Empty(t, want)
}

// A fold of many changes of few keys does not keep all of them in memory.
func TestFold_Limit(t *testing.T) {
	t.Parallel()
	f := fold{limit: 100_000}
	for i := range 10_000 {
		require.NoError(t, f.apply(encoded(t, []node.Record{{Key: []byte{byte(i % 3)}, Value: make([]byte, 1_000)}})))
		require.Less(t, f.size, 102_000)
	}
}

// A fold rests again and again while it drops what was replaced, and while it sorts.
func TestFold_Rests(t *testing.T) {
	t.Parallel()
	var moved, longest int
	f := fold{limit: 4 << 20, rest: func(size int) {
		moved += size
		longest = max(longest, size)
	}}
	add := func(from, to int) {
		for i := from; i < to; i++ {
			key := binary.BigEndian.AppendUint64([]byte("m"), uint64(i)*0x9e3779b97f4a7c15)
			require.NoError(t, f.apply(encoded(t, []node.Record{{Key: key, Value: make([]byte, 20)}})))
		}
	}
	check := func(least int) {
		require.GreaterOrEqual(t, moved, least)
		require.LessOrEqual(t, longest, pieceSize)
		moved, longest = 0, 0
	}
	const n = 100_000
	add(0, n)
	require.Equal(t, 4<<20, f.limit)
	require.Zero(t, moved, "the caller counts what it adds")
	size := f.size
	for f.limit == 4<<20 {
		add(n, n+1)
	}
	check(2*size + n*entrySize)
	f.latest()
	check(n * entrySize)
}

// A fold whose changes do not replace each other keeps them, without copying them again and again.
func TestFold_NothingReplaced(t *testing.T) {
	t.Parallel()
	f := fold{limit: 10_000}
	sizes := make(map[int]bool)
	for i := range 10_000 {
		key := binary.BigEndian.AppendUint64([]byte("m"), uint64(i))
		require.NoError(t, f.apply(encoded(t, []node.Record{{Key: key, Value: make([]byte, 100)}})))
		sizes[f.limit] = true
	}
	require.Len(t, sizes, 8, "the limit doubles")
}

// BenchmarkFold folds 100,000 changes of some keys. One op is all of them.
func BenchmarkFold(b *testing.B) {
	for _, keys := range []int{32, 512, 5_000, 100_000} {
		b.Run(fmt.Sprint("keys=", keys), func(b *testing.B) {
			var commits [][]byte
			for i := range 100_000 {
				key := binary.LittleEndian.AppendUint32([]byte{"mlsc"[i%4]}, uint32(i*7919%keys))
				commits = append(commits, encoded(b, []node.Record{{Key: key, Value: []byte("a link with some data")}}))
			}
			b.ReportAllocs()
			for b.Loop() {
				var f fold
				for _, c := range commits {
					if err := f.apply(c); err != nil {
						b.Fatal(err)
					}
				}
				for changes := f.latest(); changes.next(); {
				}
			}
		})
	}
}
