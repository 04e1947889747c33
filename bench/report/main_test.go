package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const output = `goos: linux
BenchmarkFdatasync-2   	   10000	    134199 ns/op	    128121 p50-ns	    225002 p99-ns	      7400 syncs/s
BenchmarkFdatasync-2   	   10000	    134199 ns/op	    128981 p50-ns	    225902 p99-ns	      7600 syncs/s
BenchmarkPeers/peer=redis/clients=16/connections=1-2  	 1	 20000 pairs/s
BenchmarkPeers/peer=tenure/clients=16/connections=1-2 1 14500 pairs/s 60000 server-cpu-ns/pair 48000 client-cpu-ns/pair
BenchmarkPeers/peer=tenure/clients=16/connections=1-2 1 90000 pairs/s 62000 server-cpu-ns/pair 50000 client-cpu-ns/pair
BenchmarkPeers/peer=tenure/clients=16/connections=1-2 1 15000 pairs/s 61000 server-cpu-ns/pair 49000 client-cpu-ns/pair
BenchmarkPeers/peer=tenure/clients=1/connections=1-2	 1	 2500 pairs/s	 0.6 of-bound
BenchmarkCommit/owners=16/log=pebble-2	 1	 16000 commits/s	 900000 p50-ns	 1700000 p99-ns	 34900 cpu-ns/commit
BenchmarkSize/log=etcd-wal	 1	 15757531 added-B
BenchmarkOpen/log=ours/commits=5000-2	 1	 4100000 p50-ns	 5000000 p99-ns
BenchmarkHandover/store=memory/waiting=1000-2      	    8929	     82724 p50-ns	    165596 p99-ns	 0.5 p50-multiple
BenchmarkMemory/store=disk/detached=10000-2	       1	       146.8 live-B/each	       -298.2 resident-B/each
BenchmarkStartup/held=990000-2                    	       5	 228461630 ns/op	 400 resident-B/each
BenchmarkMerge_Moderate/collector=off-2 1 6188515 merge-longest-ns 3.3 merge-over-5ms/s 0.39 merging
BenchmarkIdleClient-2 1 12.5 cpu-ms/s 8100 live-B/session 9300 resident-B/session
BenchmarkLock/server=remote-2 50 5100000 alone-p50-ns 30390955 guard-resident-B 24100000 p50-ns
BenchmarkTakeover/killed=host_and_holder/contenders=8-2 	     100	  21378559 p50-ns	  33794904 p99-ns
BenchmarkFailover/tool=etcd-2         	       3	         3.000 overlaps	9000265438 p50-ns	9894825207 p99-ns
BenchmarkClusterPairs/peer=etcd-mutex/clients=64-2 1 1000 pairs/s 645000 etcd-cpu-ns/pair 4000 server-cpu-ns/pair
BenchmarkClusterPairs/peer=owner/clients=64-2 1 4500 pairs/s 100000 etcd-cpu-ns/pair 60000 server-cpu-ns/pair
BenchmarkClusterHandover/peer=front/waiting=2-2 477 1207476 commit-p50-ns 1863355 p50-ns 9295922 p99-ns
BenchmarkClusterMemory/front=true/attached=10000-2 1 4.0 front-goroutines/each 39000 front-live-B/each
PASS
`

func TestReport(t *testing.T) {
	t.Parallel()
	f, err := parse(strings.NewReader(output))
	require.NoError(t, err)
	var got strings.Builder
	require.NoError(t, f.tables(&got))
	for _, row := range []string{
		"| fdatasync of a 512-byte append | 129 µs (128 µs–129 µs) | 225 µs (225 µs–226 µs) |", // the mean of two samples
		"| tenure, on disk | 2,500 | 15,000 (14,500–90,000) |  |  |  |",
		"| tenure, on disk |  | 0.75 |  |  |  |", // relative to Redis
		"| tenure, on disk |  | 61 + 49 |  |  |  |",
		"| tenure, on disk | 0.60 |  |  |  |  |",
		"| 16 | pebble | 16,000 | 900 µs | 1,700 µs | 34.9 µs |",
		"| ours | 4.1 ms | 5.0 ms |  |",
		"| etcd-wal |  |  | 15.8 MB |", // with one processor, the name has no suffix
		"| 1,000 | memory | 83 µs | 166 µs | 0.50 |  |",
		"| 10,000 detached sessions | disk | 147 B | -298 B |",
		"| 990,000 | 228.5 ms |  | 400 B |  |",
		"| off | merge | 6.2 ms | 3 |",
		"| 8,100 B | 9,300 B | 12.50 ms |",
		"| remote | 24.1 ms | 5.1 ms |  | 30.4 MB |  |",
		"| 8 | the holder, which hosts the server | the next waiter works | 21.4 ms | 33.8 ms |",
		"| tenure, through the owner |  |  | 4.50 |  |",         // relative to etcd's own locks
		"| tenure, through the owner |  |  | 100 + 60 + 0 |  |", // etcd, servers and clients
		"| 2 | tenure, through another server | 1,863 µs | 9,296 µs | 1,207 µs |  |",
		"| that other server | 39,000 B |  | 4 |",
		"| etcd | 9000.3 ms | 9894.8 ms | 3 |",
	} {
		require.Contains(t, got.String(), row)
	}
	require.NotContains(t, got.String(), "ZooKeeper") // which has no figures
}

func TestParse_BadValue(t *testing.T) {
	t.Parallel()
	_, err := parse(strings.NewReader("BenchmarkFdatasync-2 100 many ns/op\n"))
	require.ErrorContains(t, err, `bad value "many"`)
}
