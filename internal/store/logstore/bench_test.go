package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/store"
)

// BenchmarkCommit commits what a hand-over followed by an acquire writes, from several owners of nodes concurrently.
// One op is one commit.
func BenchmarkCommit(b *testing.B) {
	for _, owners := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprint("owners=", owners), func(b *testing.B) {
			s, err := Open(b.TempDir(), Options{})
			require.NoError(b, err)
			b.ReportAllocs()
			took := make([][]time.Duration, owners)
			var wg sync.WaitGroup
			b.ResetTimer()
			for owner := range owners {
				wg.Go(func() {
					value := make([]byte, 40)
					for i := owner; i < b.N; i += owners {
						key := binary.BigEndian.AppendUint64([]byte("l"), uint64(i))
						before := binary.BigEndian.AppendUint64([]byte("l"), uint64(i-owners))
						start := time.Now()
						err := s.Commit(b.Context(), store.Batch{Space: store.Space(owner), Changes: []node.Record{
							{Key: before}, {Key: key, Value: value},
						}})
						took[owner] = append(took[owner], time.Since(start))
						if err != nil {
							b.Error(err)

							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			durations(slices.Concat(took...)).report(b, "commit")
			require.NoError(b, s.Close())
		})
	}
}

// BenchmarkTakeOver runs processes that each take over from the previous one, which was killed during its commits or
// has closed the store. One op is the life of one process: start, Open, some commits and the end. In a new process code
// and memory are cold, as they are when a client becomes the host.
func BenchmarkTakeOver(b *testing.B) {
	for _, from := range []string{"killed", "closed"} {
		for _, commits := range []int{50, 5000} {
			b.Run(fmt.Sprintf("from=%s/commits=%d", from, commits), func(b *testing.B) {
				dir := filepath.Join(b.TempDir(), "store")
				var opens, closes durations
				start(b, dir).kill(b)
				for b.Loop() {
					p := start(b, dir)
					opens = append(opens, p.opened)
					p.commits(b, commits)
					if from == "killed" {
						p.kill(b)
					} else {
						closes = append(closes, p.close(b))
					}
				}
				opens.report(b, "open")
				closes.report(b, "close")
			})
		}
	}
}

// BenchmarkOpen_Locked measures an Open that fails because the store is in use. Waiting clients make such calls
// repeatedly.
func BenchmarkOpen_Locked(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(dir, Options{})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, err := Open(dir, Options{})
		if !errors.Is(err, store.ErrLocked) {
			b.Fatal(err)
		}
	}
	require.NoError(b, s.Close())
}

type durations []time.Duration

// report adds the 50th and 99th percentiles to the results of the benchmark.
func (d durations) report(b *testing.B, of string) {
	b.Helper()
	if len(d) == 0 {
		return
	}
	slices.Sort(d)
	b.ReportMetric(float64(d[len(d)/2]), of+"-p50-ns")
	b.ReportMetric(float64(d[len(d)*99/100]), of+"-p99-ns")
}

// BenchmarkOpen closes and opens a store and loads its space. The space holds the given number of semaphores, each with
// a session and a link.
func BenchmarkOpen(b *testing.B) {
	for _, held := range []int{0, 100_000} {
		b.Run(fmt.Sprint("held=", held), func(b *testing.B) {
			dir := b.TempDir()
			s, err := Open(dir, Options{LogSize: SmallLog})
			require.NoError(b, err)
			for i := 0; i < held; i += 1000 {
				batch := store.Batch{Space: 1}
				for id := i; id < i+1000; id++ {
					for _, kind := range []string{"s", "m", "l"} {
						batch.Changes = append(batch.Changes, node.Record{
							Key:   binary.BigEndian.AppendUint64([]byte(kind), uint64(id)),
							Value: fmt.Appendf(nil, "a description, a name or data of %d", id),
						})
					}
				}
				require.NoError(b, s.Commit(b.Context(), batch))
			}
			for b.Loop() {
				require.NoError(b, s.Close())
				s, err = Open(dir, Options{LogSize: SmallLog})
				require.NoError(b, err)
				records := 0
				for _, err := range s.Load(b.Context(), 1) {
					require.NoError(b, err)
					records++
				}
				require.Equal(b, 3*held, records)
			}
			require.NoError(b, s.Close())
		})
	}
}
