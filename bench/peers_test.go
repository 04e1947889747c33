package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A peer is a server with its usual client in Go. Every client acquires and releases a lock of its own, with a session
// or a lease of a minute, and the server makes each request durable, unless its name says otherwise.
type peer struct {
	name    string
	serve   func(b *testing.B) *daemon // starts the server; skips the benchmark if it is not installed
	connect connector
}

func peers() []peer {
	return []peer{
		{"bare", serveHost(bare), connectStreams}, // pairs of round trips of gRPC streams, without any lock
		{"redis", serveRedis, connectRedis},
		{"etcd", serveEtcd, connectEtcd},
		{"zookeeper", serveZooKeeper, connectZooKeeper},
		{"tenure", serveTenureCommand, connectTenure},
		{"tenure-memory", serveTenureInMemory, connectTenure},
		{"tenure-streams", serveTenureCommand, connectStreams}, // raw gRPC streams instead of package tenure
	}
}

// crowds are the numbers of clients that BenchmarkPeers measures.
func crowds() []crowd {
	if testing.Short() {
		return []crowd{{clients: 1}, {clients: 4, each: true}}
	}

	return []crowd{{clients: 1}, {clients: 16}, {clients: 64}, {clients: 256}, {clients: 256, each: true}}
}

// A crowd is a number of clients. They share one connection, or the pool that is usual for the peer, or each has its
// own.
type crowd struct {
	clients int
	each    bool
	pause   time.Duration // of each client after each pair
}

func (c crowd) String() string {
	if c.each {
		return fmt.Sprintf("clients=%d/connections=%d", c.clients, c.clients)
	}

	return fmt.Sprintf("clients=%d/connections=1", c.clients)
}

// BenchmarkPeers measures how many locks tenure and its peers acquire and release. Server and clients are a process
// each. One op takes a fixed time, so run it with -benchtime 1x.
func BenchmarkPeers(b *testing.B) {
	for _, p := range peers() {
		b.Run("peer="+p.name, func(b *testing.B) {
			if testing.Short() && strings.Contains(p.name, "-") {
				b.Skip("like its neighbour")
			}
			s := p.serve(b)
			for _, c := range crowds() {
				b.Run(c.String(), func(b *testing.B) { benchmarkPeer(b, p, s, c) })
			}
		})
	}
}

func benchmarkPeer(b *testing.B, p peer, s *daemon, c crowd) {
	b.Helper()
	warmUp, window := 200*time.Millisecond, 500*time.Millisecond
	if testing.Short() {
		warmUp, window = 0, 5*time.Millisecond
	}
	l := startLoad(b, p.name, s.addr, c)
	defer l.stop(b)
	l.run(b, warmUp)
	var sum loadResult
	var server time.Duration
	for range b.N {
		before := s.processorTime(b)
		r := l.run(b, window)
		server += s.processorTime(b) - before
		sum.add(r)
	}
	require.NotZero(b, sum.Pairs)
	pairs := float64(sum.Pairs)
	b.ReportMetric(0, "ns/op") // is the fixed time
	b.ReportMetric(pairs/sum.Elapsed.Seconds(), "pairs/s")
	b.ReportMetric(float64(server)/pairs, "server-cpu-ns/pair")
	b.ReportMetric(float64(sum.CPU)/pairs, "client-cpu-ns/pair")
	b.ReportMetric(float64(sum.Mallocs)/pairs, "client-allocs/pair")
	b.ReportMetric(float64(sum.P50)/float64(b.N), "p50-ns")
	b.ReportMetric(float64(sum.P99)/float64(b.N), "p99-ns")
	if c.clients == 1 { // a pair is two requests, one after the other
		var o bounds
		o.measure(b)
		b.ReportMetric(pairs/sum.Elapsed.Seconds()*2*o.sum().Seconds(), "of-bound")
	}
}
