package bench

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"tenure"
	"tenure/bench/benchtest"
	core "tenure/internal/session"
)

// restartTimeout is the timeout of the sessions of BenchmarkRestart.
const restartTimeout = tenure.DefaultSessionTimeout

// BenchmarkRestart kills tenure serve with SIGKILL while 4,000 sessions of one client hold a lock each, and starts it
// again immediately. It measures the time from the kill to the first answer to each session. "ready-ns" is the part of
// that time in which no server accepted connections. "lost/op" counts the leases that have ended: their sessions did
// not get an answer before their deadlines.
func BenchmarkRestart(b *testing.B) {
	n := size(4_000)
	dir, addr := b.TempDir(), freeAddress(b)
	serve := func() *daemon {
		return startServer(b, addr, program(b, "..", "./cmd/tenure"), "serve", "--listen", addr, "--data", dir)
	}
	running := serve()
	c := openClient(b, addr)
	leases := holdEach(b, c, n)

	var samples []time.Duration
	var ready time.Duration
	lost := 0
	for b.Loop() {
		require.NoError(b, unix.Kill(running.pid, unix.SIGKILL))
		running.stop() // waits for its end
		killed := time.Now()
		running = serve()
		ready += time.Since(killed)
		back := answered(b, leases, killed)
		lost += n - len(back)
		samples = append(samples, back...)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(ready)/float64(b.N), "ready-ns")
	b.ReportMetric(float64(lost)/float64(b.N), "lost/op")
	benchtest.ReportLatency(b, samples)
	b.ReportMetric(float64(benchtest.Quantile(samples, 100)), "max-ns")
}

// holdEach opens sessions, each of which holds a lock of its own.
func holdEach(b *testing.B, c *tenure.Client, n int) []*tenure.Lease {
	b.Helper()
	leases := make([]*tenure.Lease, n)
	g, ctx := errgroup.WithContext(b.Context())
	g.SetLimit(attaching)
	for i := range n {
		g.Go(func() error {
			s, err := c.Session(ctx, nodePath)
			if err != nil {
				return err
			}
			lease, err := s.AcquireSemaphore(ctx, "own-"+strconv.Itoa(i), forever, ephemeral)
			if err == nil {
				leases[i] = lease.(*tenure.Lease)
			}

			return err
		})
	}
	require.NoError(b, g.Wait())

	return leases
}

// answered waits until each lease has ended, or has an answer to a request that was sent after the given time. It
// returns how long after that time the answers arrived. A lease ends at its deadline, so the wait is limited.
func answered(b *testing.B, leases []*tenure.Lease, since time.Time) (after []time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 3*restartTimeout)
	defer cancel()
	proved := since.Add(core.Believed(restartTimeout)) // a later deadline
	var mu sync.Mutex
	var g errgroup.Group
	for _, l := range leases {
		g.Go(func() error {
			for {
				renewed := l.Renewed() // before Deadline, so that no renewal is missed
				deadline := l.Deadline()
				switch {
				case deadline.IsZero():
					return nil
				case deadline.After(proved):
					mu.Lock()
					defer mu.Unlock()
					after = append(after, time.Since(since))

					return nil
				}
				select {
				case <-renewed:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
	}
	require.NoError(b, g.Wait())

	return after
}
