package bench

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkClusterMemory measures by how much the processes of servers grow for each idle session of a client. The
// client is connected to the server that serves the node (owner), or to another one (front). It is like BenchmarkMemory
// otherwise.
func BenchmarkClusterMemory(b *testing.B) {
	n := size(10_000)
	for _, front := range []bool{false, true} {
		b.Run(fmt.Sprintf("front=%t/attached=%d", front, n), func(b *testing.B) {
			for range b.N {
				benchmarkClusterMemory(b, n, front)
			}
		})
	}
}

func benchmarkClusterMemory(b *testing.B, n int, front bool) {
	b.Helper()
	c := startCluster(b, true)
	node := c.node(b, 0)
	owner, at := c.hosts[node.owner], c.hosts[node.owner]
	if front {
		at = c.hosts[(node.owner+1)%members]
	}
	first, err := dial(b, at.addr).attachMany(node.path, 1)
	require.NoError(b, err)
	defer first.cancel()
	client := dial(b, at.addr) // for as many streams as a connection can have
	ownerBefore, before := owner.usage(b), at.usage(b)

	sessions, err := client.attachMany(node.path, n)
	require.NoError(b, err)
	defer sessions.cancel()
	ownerAfter, after := owner.usage(b), at.usage(b)

	report := func(name string, before, after usage) {
		g := after.since(before)
		b.ReportMetric(g.resident/float64(n), name+"-resident-B/each")
		b.ReportMetric(g.live/float64(n), name+"-live-B/each")
		b.ReportMetric(float64(after.Goroutines-before.Goroutines)/float64(n), name+"-goroutines/each")
	}
	b.ReportMetric(0, "ns/op")
	report("owner", ownerBefore, ownerAfter)
	if front {
		report("front", before, after)
	}
}
