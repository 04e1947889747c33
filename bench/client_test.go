package bench

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"golang.org/x/sync/errgroup"

	"tenure"
	"tenure/bench/benchtest"
)

// BenchmarkClient measures what a client costs in its own process: CPU time, and allocations, for each pair of an
// acquire and a release. The server is in another process. A client is either a bare gRPC stream, which is the lower
// bound, or a session of package tenure. All sessions share one connection.
func BenchmarkClient(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		for _, client := range []string{"stream", "tenure"} {
			b.Run(fmt.Sprintf("client=%s/sessions=%d", client, n), func(b *testing.B) {
				h := startHost(b, memory, b.TempDir())
				b.Cleanup(func() { h.stop(b) }) // after the client, which ends its sessions
				open := openStream
				if client == "tenure" {
					open = openTenure
				}
				benchmarkClient(b, n, open(b, h.addr))
			})
		}
	}
}

// pairs returns a function that acquires and releases a semaphore, in a session of its own.
type pairs func(semaphore string) (pair func() error, err error)

func openStream(b *testing.B, addr string) pairs {
	b.Helper()
	c := dial(b, addr)

	return func(semaphore string) (func() error, error) {
		s, err := c.attach(0, time.Minute)

		return func() error {
			if err := s.acquire(semaphore); err != nil {
				return err
			}

			return s.release(semaphore)
		}, err
	}
}

func openTenure(b *testing.B, addr string) pairs {
	b.Helper()
	c := openClient(b, addr)

	return func(semaphore string) (func() error, error) {
		s, err := c.Session(b.Context(), nodePath)

		return func() error {
			l, err := s.AcquireSemaphore(b.Context(), semaphore, forever, ephemeral)
			if err != nil {
				return err
			}

			return l.Release()
		}, err
	}
}

// openClient opens a client and creates the node. The client is closed when the test ends.
func openClient(tb testing.TB, addr string) *tenure.Client {
	tb.Helper()
	dial(tb, addr)
	c, err := tenure.Open(tb.Context(), "grpc://"+addr+database)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = c.Close(context.Background()) }) //nolint:usetesting // the test's context has ended

	return c
}

func benchmarkClient(b *testing.B, n int, open pairs) {
	b.Helper()
	each := make([]func() error, n)
	for i := range each {
		var err error
		each[i], err = open("own-" + strconv.Itoa(i))
		require.NoError(b, err)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var g errgroup.Group
	runtime.GC()
	b.ReportAllocs()
	b.ResetTimer()
	before := benchtest.ProcessorTime()
	for _, pair := range each {
		g.Go(func() error {
			for left.Add(-1) >= 0 {
				if err := pair(); err != nil {
					return err
				}
			}

			return nil
		})
	}
	require.NoError(b, g.Wait())
	b.StopTimer()
	b.ReportMetric(float64(benchtest.ProcessorTime()-before)/float64(b.N), "client-cpu-ns/pair")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
}

func ephemeral(m *Ydb_Coordination.SessionRequest_AcquireSemaphore) { m.Ephemeral = true }
