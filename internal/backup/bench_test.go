package backup_test

import (
	"context"
	"encoding/binary"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/backup"
	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/logstore"
	"tenure/internal/store/memstore"
)

// BenchmarkWrite backs up a store with 1,000,000 records, to a writer that costs nothing, while another goroutine
// commits. One op is one backup. It reports how long commits take alone and beside a backup, and by how much the heap
// grows.
func BenchmarkWrite(b *testing.B) {
	const records, spaces = 1_000_000, 10
	each := func(add func(store.Record) error) {
		for i := range uint64(records) {
			r := store.Record{Space: store.Space(1 + i/(records/spaces)), Record: node.Record{
				Key: binary.BigEndian.AppendUint64([]byte("l"), i), Value: make([]byte, 60),
			}}
			require.NoError(b, add(r))
		}
	}
	for name, open := range map[string]func(b *testing.B) store.Store{
		"log": func(b *testing.B) store.Store {
			b.Helper()
			dir := filepath.Join(b.TempDir(), "data")
			c, err := logstore.Create(dir, logstore.Options{})
			require.NoError(b, err)
			each(c.Add)
			require.NoError(b, c.Finish())
			s, err := logstore.Open(dir, logstore.Options{})
			require.NoError(b, err)

			return s
		},
		"memory": func(b *testing.B) store.Store {
			b.Helper()
			s := memstore.New()
			each(func(r store.Record) error {
				return s.Commit(b.Context(), store.Batch{Space: r.Space, Changes: []node.Record{r.Record}})
			})

			return s
		},
	} {
		b.Run("store="+name, func(b *testing.B) {
			s := open(b)
			alone, stop := context.WithTimeout(b.Context(), time.Second)
			defer stop()
			before := commits(alone, b, s, func() {})
			var beside []time.Duration
			var grown uint64
			for b.Loop() {
				ctx, cancel := context.WithCancel(b.Context())
				var wg sync.WaitGroup
				runtime.GC()
				used := heap()
				wg.Go(func() {
					beside = append(beside, commits(ctx, b, s, func() { grown = max(grown, heap()-min(used, heap())) })...)
				})
				require.NoError(b, backup.Write(io.Discard, date, s.Snapshot(b.Context())))
				cancel()
				wg.Wait()
			}
			report(b, "alone", before) // after the loop, whose begin would remove it
			report(b, "beside", beside)
			b.ReportMetric(float64(grown>>20), "heap-MB")
			require.NoError(b, s.Close())
		})
	}
}

// commits makes commits until ctx ends, and returns how long each took. It calls look from time to time.
func commits(ctx context.Context, b *testing.B, s store.Store, look func()) (took []time.Duration) {
	b.Helper()
	for i := 0; ctx.Err() == nil; i++ {
		began := time.Now()
		err := s.Commit(b.Context(), store.Batch{Space: 1, Changes: []node.Record{{Key: []byte("k"), Value: []byte{1}}}})
		took = append(took, time.Since(began))
		if err != nil {
			b.Error(err)

			return took
		}
		if i%100 == 0 {
			look()
		}
	}

	return took
}

func report(b *testing.B, name string, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), name+"-p50-ns")
	b.ReportMetric(float64(took[len(took)-1].Nanoseconds()), name+"-max-ns")
}

// heap returns the bytes of the heap that are in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)

	return m.HeapAlloc
}
