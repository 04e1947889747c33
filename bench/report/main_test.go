package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const output = `goos: linux
BenchmarkFdatasync-2   	   10000	    134199 ns/op	    128121 p50-ns	    225002 p99-ns	      7400 syncs/s
BenchmarkFdatasync-2   	   10000	    134199 ns/op	    128129 p50-ns	    225002 p99-ns	      7600 syncs/s
BenchmarkPairs/store=bare/sessions=16-2  	 54190	 22509 ns/op	 333307 p50-ns	 1120406 p99-ns	 44426 pairs/s
BenchmarkPairs/store=disk/sessions=16-2	 19083	 68817 ns/op	 1047442 p50-ns	 2343780 p99-ns	 14500 pairs/s
BenchmarkPairs/store=disk/sessions=16-2	 19083	 68817 ns/op	 1047442 p50-ns	 2343780 p99-ns	 90000 pairs/s
BenchmarkPairs/store=disk/sessions=16-2	 19083	 68817 ns/op	 1047442 p50-ns	 2343780 p99-ns	 15000 pairs/s
BenchmarkHandover/store=memory/waiting=1000-2      	    8929	     82724 p50-ns	    165596 p99-ns
BenchmarkMemory/store=disk/detached=10000-2	       1	       146.8 live-B/each	       298.2 resident-B/each
BenchmarkStartup/held=100000-2                     	       5	 228461630 ns/op
BenchmarkTakeover/killed=host_and_holder/contenders=8-2 	     100	  21378559 p50-ns	  33794904 p99-ns
BenchmarkFailover/tool=etcd-2         	       3	         3.000 overlaps	9000265438 p50-ns	9894825207 p99-ns
PASS
`

func TestReport(t *testing.T) {
	t.Parallel()
	f, err := parse(strings.NewReader(output))
	require.NoError(t, err)
	var got strings.Builder
	require.NoError(t, f.tables(&got))
	for _, row := range []string{
		"| 7,500 | 128 µs | 225 µs |", // the mean of two samples
		"| 16 | disk | 15,000 | 1,047 µs | 2,344 µs | 0.34 | 2.00 | 0 µs |",
		"| 1,000 | memory | 83 µs | 166 µs | 0.65 |",
		"| 10,000 detached sessions | disk | 147 B | 298 B |",
		"| 100,000 | 228 ms |",
		"| 8 | the holder, which hosts the server | the next waiter works | 21.4 ms | 33.8 ms |",
		"| etcd | 9000.3 ms | 9894.8 ms | 3 |",
	} {
		require.Contains(t, got.String(), row)
	}
}

func TestParse_BadValue(t *testing.T) {
	t.Parallel()
	_, err := parse(strings.NewReader("BenchmarkFdatasync-2 100 many ns/op\n"))
	require.ErrorContains(t, err, `bad value "many"`)
}
