package bench

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"golang.org/x/sync/errgroup"
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
			var longest, p99 time.Duration
			for range b.N {
				r := l.run(b, window)
				longest, p99 = max(longest, r.Longest), max(p99, r.P99)
			}
			if !testing.Short() {
				snapshots, err := filepath.Glob(filepath.Join(dir, "*.snapshot"))
				require.NoError(b, err)
				require.NotEmpty(b, snapshots, "there was no merge")
			}
			require.NotZero(b, longest)
			b.ReportMetric(0, "ns/op") // is the fixed time
			b.ReportMetric(float64(longest), "longest-ns")
			b.ReportMetric(float64(p99), "p99-ns")
		})
	}
}

// BenchmarkMerge_Moderate measures the longest pairs of 16 clients that work at about a tenth of the rate which the
// server can serve: of those during merges of a large store, and of the others. So the processors are not busy without
// a merge, and the two figures are of the same server at the same load. Another client fills the log with large data.
//
// "over-5ms/s" is the number of pairs that took more than 5 ms, for each second of merges or of the other time.
// "merging" is the share of merges in the time. Without the garbage collector, which makes pairs long at any time, the
// difference between the figures is what merges themselves cause.
func BenchmarkMerge_Moderate(b *testing.B) {
	b.Run("collector=on", benchmarkMerges)
	b.Run("collector=off", func(b *testing.B) {
		b.Setenv("GOGC", "off")
		b.Setenv("GOMEMLIMIT", "8GiB") // instead of the limit of tenure serve
		benchmarkMerges(b)
	})
}

func benchmarkMerges(b *testing.B) {
	b.Helper()
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

	var merging time.Duration
	var during, other []time.Duration
	for range b.N {
		ctx, cancel := context.WithCancel(b.Context())
		var g errgroup.Group
		g.Go(func() error { return filler.fill(ctx, large) })
		var merges []slowPair
		g.Go(func() (err error) {
			merges, err = watchMerges(ctx, dir)

			return err
		})
		r := l.run(b, window)
		cancel()
		require.NoError(b, g.Wait())
		for _, m := range merges {
			merging += m.End.Sub(m.Begin)
		}
		for _, pair := range r.Slow {
			if overlaps(pair, merges) {
				during = append(during, pair.End.Sub(pair.Begin))
			} else {
				other = append(other, pair.End.Sub(pair.Begin))
			}
		}
	}
	b.ReportMetric(0, "ns/op") // is the fixed time
	b.ReportMetric(float64(merging)/float64(window)/float64(b.N), "merging")
	report := func(name string, pairs []time.Duration, share float64) {
		longest := time.Duration(0)
		over := 0
		for _, p := range pairs {
			longest = max(longest, p)
			if p > 5*time.Millisecond {
				over++
			}
		}
		b.ReportMetric(float64(longest), name+"-longest-ns")
		b.ReportMetric(float64(over)/share/window.Seconds()/float64(b.N), name+"-over-5ms/s")
	}
	share := float64(merging) / float64(window) / float64(b.N)
	if !testing.Short() {
		require.NotZero(b, share, "there was no merge")
	}
	report("merge", during, max(share, 1e-9))
	report("other", other, max(1-share, 1e-9))
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
