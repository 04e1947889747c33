package logstore

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/store"
)

// pairsLog returns the encoded changes of commits until they have the size of a segment. In each commit, clients
// release semaphores and acquire others, with new names. So many semaphores are held at any time. They are ephemeral,
// and each session holds at most a hundred.
func pairsLog(tb testing.TB, held int) (commits [][]byte, changes int) {
	tb.Helper()
	n := node.New()
	var fx node.Effects
	random := rand.New(rand.NewPCG(uint64(held), 2))
	sessions := min(held, max(256, held/100))
	for i := range sessions {
		n.Apply(1, node.Attach{Stream: node.StreamID(i + 1), TimeoutMillis: 60_000}, &fx)
	}
	at := func(session int) node.From {
		return node.From{Stream: node.StreamID(session + 1), Session: uint64(session + 1)}
	}
	type hold struct {
		session int
		name    string
	}
	acquire := func(i, session int, fx *node.Effects) hold {
		h := hold{session, fmt.Sprint("own-", i)}
		n.Apply(clock.Instant(i+1), node.Acquire{From: at(session), Semaphore: h.name, Count: 1, Ephemeral: true}, fx)

		return h
	}
	holds := make([]hold, held)
	for i := range holds {
		holds[i] = acquire(i, i%sessions, &fx)
	}
	size := 0
	for i := held; size < defaultLogSize; {
		fx = node.Effects{}
		for range 10 { // pairs in a commit
			h := &holds[random.IntN(held)]
			n.Apply(clock.Instant(i+1), node.Release{From: at(h.session), Semaphore: h.name}, &fx)
			*h = acquire(i, h.session, &fx)
			i++
		}
		payload := appendBatch(nil, store.Batch{Space: 1, Changes: fx.Changes})
		_, _, encoded, err := decodeHead(payload)
		require.NoError(tb, err)
		commits = append(commits, encoded)
		size += frameHeader + len(payload)
		changes += len(fx.Changes)
	}

	return commits, changes
}

// BenchmarkFold_Pairs folds what acquires and releases of ephemeral semaphores write to a segment, and reads the
// outcome. So many semaphores are held at any time.
func BenchmarkFold_Pairs(b *testing.B) {
	for _, held := range []int{1, 256, 100_000} {
		b.Run(fmt.Sprint("held=", held), func(b *testing.B) {
			commits, changes := pairsLog(b, held)
			b.ReportAllocs()
			total := 0
			for b.Loop() {
				var f fold
				for _, c := range commits {
					if err := f.apply(c); err != nil {
						b.Fatal(err)
					}
				}
				for changes := f.latest(); changes.next(); {
					total++
				}
			}
			b.ReportMetric(float64(changes), "changes")
			b.ReportMetric(float64(total)/float64(b.N), "latest")
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(changes), "ns/change")
		})
	}
}
