package logstore

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tenure/internal/node"
)

// foldKey returns the key with the number. The order of the keys is not that of their numbers. There are four kinds of
// keys.
func foldKey(number int) []byte {
	return binary.LittleEndian.AppendUint32([]byte{"mlsc"[number%4]}, uint32(number))
}

// A fold has the latest change of each key, in order of the keys, however many keys there are.
func TestFold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var f fold
		latest := make(map[string]node.Record)
		rounds := rapid.SliceOfN(rapid.SampledFrom([]int{1, 7, 500, maxPlaces, maxPlaces + 1}), 1, 4).Draw(t, "keys")
		for round, keys := range rounds {
			for i := range keys {
				r := node.Record{Key: foldKey(i)}
				if round%2 > 0 { // in order of their numbers within each kind
					binary.BigEndian.PutUint32(r.Key[1:], uint32(i))
				}
				if (i+round)%3 > 0 { // otherwise it deletes the key
					r.Value = []byte{byte(round)}
				}
				f.add(r)
				latest[string(r.Key)] = r
			}
		}
		var want []node.Record
		for _, key := range slices.Sorted(maps.Keys(latest)) {
			want = append(want, latest[key])
		}
		require.Equal(t, want, f.sorted())
	})
}

// BenchmarkFold folds 100,000 changes. One op is one change.
func BenchmarkFold(b *testing.B) {
	for _, keys := range []int{32, 512, 5_000, 100_000} {
		b.Run(fmt.Sprint("keys=", keys), func(b *testing.B) {
			changes := make([]node.Record, 100_000)
			for i := range changes {
				changes[i] = node.Record{Key: foldKey(i * 7919 % keys), Value: []byte("a link with some data")}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += len(changes) {
				var f fold
				for _, r := range changes[:min(len(changes), b.N-n)] {
					f.add(r)
				}
				f.sorted()
			}
		})
	}
}
