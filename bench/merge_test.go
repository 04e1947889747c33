package bench

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"golang.org/x/sync/errgroup"

	"tenure/bench/benchtest"
)

// BenchmarkMerge measures how long merges of a large store delay the pairs of 16 clients. The store contains held
// semaphores. "longest" is the longest time that a pair took. Without semaphores, merges have nothing to do, so that
// case shows the delays that the machine causes.
func BenchmarkMerge(b *testing.B) {
	counts := heldCounts()
	for _, n := range []int{0, counts[len(counts)-1]} {
		b.Run(fmt.Sprintf("held=%d", n), func(b *testing.B) {
			dir := filled(b, n)
			window := 10 * time.Second
			if testing.Short() {
				window = 20 * time.Millisecond
			}
			s := startTenure(b, "--data", dir)
			l := startLoad(b, "tenure-streams", s.addr, crowd{clients: 16})
			defer l.stop(b)
			var most, p99 time.Duration
			for range b.N {
				r := l.run(b, window)
				most, p99 = max(most, r.Longest), max(p99, r.P99)
			}
			if !testing.Short() {
				snapshots, err := filepath.Glob(filepath.Join(dir, "*.snapshot"))
				require.NoError(b, err)
				require.NotEmpty(b, snapshots, "there was no merge")
			}
			require.NotZero(b, most)
			b.ReportMetric(0, "ns/op") // is the fixed time
			b.ReportMetric(float64(most), "longest-ns")
			b.ReportMetric(float64(p99), "p99-ns")
		})
	}
}

// BenchmarkMerge_Moderate measures the longest pairs of 16 clients that work at about a tenth of the rate which the
// server can serve: of those during merges of a large store, and of the others. So the processors are not busy without
// a merge, and the two figures are of the same server at the same load. Another client fills the log with large data.
//
// A pair is also long if the machine stalls, which a virtual one does for tens of milliseconds. So the figures with
// "steady" are of the pairs during which it did not. The difference between "merge-steady" and "other-steady" is what
// merges cause. "stalled" is the share of stalls in the time of the processors, and "stall-longest" the longest one.
//
// "over-5ms/s" is the number of pairs that took more than 5 ms, for each second of merges or of the other time.
// "merging" is the share of merges in the time.
func BenchmarkMerge_Moderate(b *testing.B) {
	counts, window := heldCounts(), 20*time.Second
	if testing.Short() {
		window = 20 * time.Millisecond
	}
	dir := filled(b, counts[len(counts)-1])
	s := startTenure(b, "--data", dir)
	l := startLoad(b, "tenure-streams", s.addr, crowd{clients: 16, pause: 20 * time.Millisecond})
	defer l.stop(b)
	filler, err := dial(b, s.addr).attach(0, time.Minute)
	require.NoError(b, err)
	defer filler.cancel()
	large := fmt.Sprint("filler-", time.Now().UnixNano()) // this function may be called again for the same store
	require.NoError(b, filler.create(large))

	var merges, stalls, pairs []slowPair
	for range b.N {
		ctx, cancel := context.WithCancel(b.Context())
		var g errgroup.Group
		g.Go(func() error { return filler.fill(ctx, large) })
		g.Go(func() error {
			seen, err := watchMerges(ctx, dir)
			merges = append(merges, seen...)

			return err
		})
		g.Go(func() error {
			for _, stall := range benchtest.Stalls(ctx) {
				stalls = append(stalls, slowPair(stall))
			}

			return nil
		})
		pairs = append(pairs, l.run(b, window).Slow...)
		cancel()
		require.NoError(b, g.Wait())
	}
	elapsed := window * time.Duration(b.N)
	merging := total(merges)
	if !testing.Short() {
		require.NotZero(b, merging, "there was no merge")
	}
	b.ReportMetric(0, "ns/op") // is the fixed time
	b.ReportMetric(float64(merging)/float64(elapsed), "merging")
	b.ReportMetric(float64(total(stalls))/float64(elapsed)/float64(runtime.NumCPU()), "stalled")
	b.ReportMetric(float64(longest(stalls)), "stall-longest-ns")
	reportPairs(b, "merge", merging, stalls, pairs, func(p slowPair) bool { return overlaps(p, merges) })
	reportPairs(b, "other", elapsed-merging, stalls, pairs, func(p slowPair) bool { return !overlaps(p, merges) })
}

// reportPairs adds the figures of those pairs that count to the results of the benchmark. They were made in the time.
func reportPairs(b *testing.B, name string, in time.Duration, stalls, pairs []slowPair, count func(slowPair) bool) {
	b.Helper()
	var all, steady []slowPair
	over := 0
	for _, p := range pairs {
		if !count(p) {
			continue
		}
		all = append(all, p)
		if overlaps(p, stalls) {
			continue
		}
		steady = append(steady, p)
		if p.End.Sub(p.Begin) > 5*time.Millisecond {
			over++
		}
	}
	b.ReportMetric(float64(longest(all)), name+"-longest-ns")
	b.ReportMetric(float64(longest(steady)), name+"-steady-longest-ns")
	b.ReportMetric(float64(over)/max(in.Seconds(), 1e-9), name+"-steady-over-5ms/s")
}

func longest(times []slowPair) (d time.Duration) {
	for _, t := range times {
		d = max(d, t.End.Sub(t.Begin))
	}

	return d
}

func total(times []slowPair) (d time.Duration) {
	for _, t := range times {
		d += t.End.Sub(t.Begin)
	}

	return d
}

func overlaps(pair slowPair, merges []slowPair) bool {
	for _, m := range merges {
		if pair.Begin.Before(m.End) && m.Begin.Before(pair.End) {
			return true
		}
	}

	return false
}

// beforeFile is how long a merge takes, at most, before it creates its file.
const beforeFile = time.Second / 2

// afterRemoval is how long the file system may still be busy with the space of removed files, at most.
const afterRemoval = time.Second / 10

// watchMerges returns the times of merges until ctx ends. A merge is seen by the file that it writes, and by the old
// snapshot, which it removes at the end.
func watchMerges(ctx context.Context, dir string) (merges []slowPair, err error) {
	merging := false
	for ctx.Err() == nil {
		written, err := filepath.Glob(filepath.Join(dir, "*.snapshot.new"))
		if err != nil {
			return nil, err
		}
		snapshots, err := filepath.Glob(filepath.Join(dir, "*.snapshot"))
		if err != nil {
			return nil, err
		}
		now := time.Now()
		seen := len(written) > 0 || len(snapshots) > 1
		switch {
		case seen && !merging && (len(merges) == 0 || merges[len(merges)-1].End.Before(now.Add(-beforeFile))):
			merges = append(merges, slowPair{now.Add(-beforeFile), now.Add(afterRemoval)})
		case seen || merging:
			merges[len(merges)-1].End = now.Add(afterRemoval)
		}
		merging = seen
		time.Sleep(2 * time.Millisecond)
	}

	return merges, nil
}

// create creates a semaphore.
func (s *session) create(semaphore string) error {
	s.req++
	err := s.send(&Ydb_Coordination.SessionRequest{
		Request: &Ydb_Coordination.SessionRequest_CreateSemaphore_{
			CreateSemaphore: &Ydb_Coordination.SessionRequest_CreateSemaphore{ReqId: s.req, Name: semaphore, Limit: 1},
		},
	})
	if err != nil {
		return err
	}
	m, err := s.next()
	if err == nil && m.GetCreateSemaphoreResult().GetStatus() != Ydb.StatusIds_SUCCESS {
		err = fmt.Errorf("create: got %v", m)
	}

	return err
}

// update replaces the data of a semaphore.
func (s *session) update(semaphore string, data []byte) error {
	s.req++
	err := s.send(&Ydb_Coordination.SessionRequest{
		Request: &Ydb_Coordination.SessionRequest_UpdateSemaphore_{
			UpdateSemaphore: &Ydb_Coordination.SessionRequest_UpdateSemaphore{ReqId: s.req, Name: semaphore, Data: data},
		},
	})
	if err != nil {
		return err
	}
	m, err := s.next()
	if err == nil && m.GetUpdateSemaphoreResult().GetStatus() != Ydb.StatusIds_SUCCESS {
		err = fmt.Errorf("update: got %v", m)
	}

	return err
}

// fill replaces the data of a semaphore until ctx ends.
func (s *session) fill(ctx context.Context, semaphore string) error {
	data := bytes.Repeat([]byte("data"), 16<<10)
	for ctx.Err() == nil {
		data[0]++ // the server does not write what has not changed
		if err := s.update(semaphore, data); err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}

	return nil
}
