package bench

import (
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"tenure/bench/benchtest"
)

// BenchmarkClusterHandover is like BenchmarkHandover over a cluster of etcd: through the server that serves the node
// (owner), through another one (front), and with etcd's own locks. It reports the p50 and the p99, and those of a
// change in etcd, which it measures immediately before and after.
func BenchmarkClusterHandover(b *testing.B) {
	c := startCluster(b, false)
	n := c.node(b, 0)
	counts := []int{2, 128}
	if testing.Short() {
		counts = counts[:1]
	}
	for _, waiting := range counts {
		for _, at := range []struct {
			name   string
			server int
		}{{"owner", n.owner}, {"front", (n.owner + 1) % members}} {
			b.Run(fmt.Sprintf("peer=%s/waiting=%d", at.name, waiting), func(b *testing.B) {
				q := queueUp(b, dial(b, c.servers[at.server].addr), n.path, waiting)
				benchmarkClusterHandover(b, c, q.next)
			})
		}
		b.Run(fmt.Sprintf("peer=etcd-mutex/waiting=%d", waiting), func(b *testing.B) {
			benchmarkClusterHandover(b, c, queueUpAtEtcd(b, c, waiting).next)
		})
	}
}

// benchmarkClusterHandover calls next, which returns how long a hand-over took.
func benchmarkClusterHandover(b *testing.B, c *cluster, next func(*testing.B) time.Duration) {
	b.Helper()
	var samples, commits []time.Duration
	measure := func() {
		b.StopTimer()
		defer b.StartTimer()
		commit := c.commit(b)
		n := 300
		if testing.Short() {
			n = 1
		}
		for range n {
			commits = append(commits, timed(b, commit))
		}
	}
	measure()
	for b.Loop() {
		samples = append(samples, next(b))
	}
	b.ReportMetric(0, "ns/op") // would include the queueing
	benchtest.ReportLatency(b, samples)
	measure()
	slices.Sort(commits)
	b.ReportMetric(float64(benchtest.Quantile(commits, 50)), "commit-p50-ns")
	b.ReportMetric(float64(benchtest.Quantile(commits, 99)), "commit-p99-ns")
}

// etcdQueue is a queue of etcd's own locks. A lock returns when etcd has told its client that the one before is gone,
// so each of them has a goroutine while it waits.
type etcdQueue struct {
	*cluster

	name   string
	locks  []*concurrency.Mutex
	locked []chan time.Time // of each lock
	turn   int              // the index of the holder
}

func queueUpAtEtcd(b *testing.B, c *cluster, waiters int) *etcdQueue {
	b.Helper()
	q := &etcdQueue{cluster: c, name: rand.Text()}
	for i := range waiters + 1 {
		s, err := concurrency.NewSession(c.client)
		require.NoError(b, err)
		b.Cleanup(func() { _ = s.Close() })
		q.locks = append(q.locks, concurrency.NewMutex(s, q.name))
		q.locked = append(q.locked, make(chan time.Time, 1))
		q.enter(b, i)
	}
	<-q.locked[0]

	return q
}

// enter makes a client wait for the lock, unless it is free.
func (q *etcdQueue) enter(b *testing.B, i int) {
	b.Helper()
	go func() { // ends with the benchmark
		if q.locks[i].Lock(b.Context()) == nil {
			q.locked[i] <- time.Now()
		}
	}()
	for {
		r, err := q.client.Get(b.Context(), q.name, clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(b, err)
		if int(r.Count) == len(q.locks) {
			return
		}
	}
}

// next is like queue.next.
func (q *etcdQueue) next(b *testing.B) time.Duration {
	b.Helper()
	holder := q.turn
	q.turn = (q.turn + 1) % len(q.locks)
	start := time.Now()
	require.NoError(b, q.locks[holder].Unlock(b.Context()))
	took := (<-q.locked[q.turn]).Sub(start)
	q.enter(b, holder)

	return took
}
