package logs

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"tenure/bench/benchtest"
	"tenure/internal/store"
)

// BenchmarkCommit commits from several goroutines, each of which has a space of its own. One op is one commit.
func BenchmarkCommit(b *testing.B) {
	for _, owners := range ownerCounts() {
		for _, c := range candidates() {
			b.Run(fmt.Sprintf("owners=%d/log=%s", owners, c.name), func(b *testing.B) {
				l, _, err := c.open(b.TempDir(), largeLog)
				require.NoError(b, err)
				benchmarkCommit(b, l, owners)
				require.NoError(b, l.close())
			})
		}
	}
}

func ownerCounts() []int {
	if testing.Short() {
		return []int{1, 4}
	}

	return []int{1, 16, 64}
}

func benchmarkCommit(b *testing.B, l log, owners int) {
	b.Helper()
	b.ReportAllocs()
	took := make([][]time.Duration, owners)
	var g errgroup.Group
	before := benchtest.ProcessorTime()
	b.ResetTimer()
	for owner := range owners {
		g.Go(func() error {
			for i := owner; i < b.N; i += owners {
				start := time.Now()
				if err := l.commit(handover(store.Space(owner+1), uint64(i/owners))); err != nil {
					return err
				}
				took[owner] = append(took[owner], time.Since(start))
			}

			return nil
		})
	}
	require.NoError(b, g.Wait())
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	b.ReportMetric(float64(benchtest.ProcessorTime()-before)/float64(b.N), "cpu-ns/commit")
	benchtest.ReportLatency(b, slices.Concat(took...))
}
