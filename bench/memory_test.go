package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

const attaching = 64 // concurrent attaches

// size returns n, or a hundredth of it with -short.
func size(n int) int {
	if testing.Short() {
		return n / 100
	}

	return n
}

// BenchmarkMemory measures by how many bytes the server's process grows for each session or semaphore. It reports the
// resident set, as the system counts it, and the heap and stacks. A session of the bare server is only a stream.
// Detached sessions are measured in a server that has found them in its store, because a server keeps the memory of
// ended streams for new ones. The benchmark does not measure time.
func BenchmarkMemory(b *testing.B) {
	benchmarkMemory(b, bare, "attached", size(10_000), measureAttached)
	for _, k := range []kind{memory, disk} {
		benchmarkMemory(b, k, "attached", size(10_000), measureAttached)
		benchmarkMemory(b, k, "held", size(100_000), measureHeld)
	}
	benchmarkMemory(b, disk, "detached", size(10_000), measureDetached)
}

func benchmarkMemory(b *testing.B, k kind, what string, n int, measure func(*testing.B, kind, int) growth) {
	b.Helper()
	b.Run(fmt.Sprintf("store=%s/%s=%d", k, what, n), func(b *testing.B) {
		var sum growth
		for range b.N {
			g := measure(b, k, n)
			sum.resident += g.resident
			sum.live += g.live
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(sum.resident/float64(b.N*n), "resident-B/each")
		b.ReportMetric(sum.live/float64(b.N*n), "live-B/each")
	})
}

// growth is the growth of a process, in bytes.
type growth struct{ resident, live float64 }

func (u usage) since(before usage) growth {
	return growth{
		resident: float64(u.Resident - before.Resident),
		live:     float64(u.Heap + u.Stacks - before.Heap - before.Stacks),
	}
}

func measureAttached(b *testing.B, k kind, n int) growth {
	b.Helper()
	h := startHost(b, k, b.TempDir())
	defer h.stop(b)
	first, err := dial(b, h.addr).attachMany(nodePath, 1)
	require.NoError(b, err)
	defer first.cancel()
	c := dial(b, h.addr) // for as many streams as a connection can have
	before := h.usage(b)

	sessions, err := c.attachMany(nodePath, n)
	require.NoError(b, err)
	defer sessions.cancel()

	return h.usage(b).since(before)
}

// measureDetached compares two servers that have loaded a node: one with n more sessions than the other.
func measureDetached(b *testing.B, k kind, n int) growth {
	b.Helper()

	return loaded(b, k, n).since(loaded(b, k, 0))
}

// loaded returns the usage of a server that has found n+1 sessions in its store.
func loaded(b *testing.B, k kind, n int) usage {
	b.Helper()
	dir := b.TempDir()
	h := startHost(b, k, dir)
	for _, some := range []int{1, n} { // a connection each
		_, err := dial(b, h.addr).attachMany(nodePath, some)
		require.NoError(b, err)
	}
	h.stop(b)

	return loadedUsage(b, dir)
}

// idlers is a number of idle sessions.
type idlers struct {
	each []*session
	idle errgroup.Group // with a goroutine for each
}

// cancel ends the streams.
func (c *idlers) cancel() {
	for _, s := range c.each {
		s.cancel()
	}
	_ = c.idle.Wait() // each returns the error of its canceled stream
}

// idle answers pings until the stream ends.
func (s *session) idle() error {
	m, err := s.next()
	if err == nil {
		err = fmt.Errorf("idle session: got %v", m)
	}

	return err
}

// attachMany attaches to n new sessions, which answer pings until they are canceled. It begins fewer calls a second
// than a connection may begin.
func (c *client) attachMany(path string, n int) (*idlers, error) {
	sessions := &idlers{each: make([]*session, n)}
	start := time.Now()
	var g errgroup.Group
	g.SetLimit(attaching)
	for i := range sessions.each {
		time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / 1_500)))
		g.Go(func() error {
			s, err := c.attachTo(path, 0, time.Hour/2)
			if err == nil {
				sessions.each[i] = s
				sessions.idle.Go(s.idle)
			}

			return err
		})
	}

	return sessions, g.Wait()
}

func measureHeld(b *testing.B, k kind, n int) growth {
	b.Helper()
	h := startHost(b, k, b.TempDir())
	defer h.stop(b)
	s, err := dial(b, h.addr).attach(0, time.Hour/2)
	require.NoError(b, err)
	before := h.usage(b)
	require.NoError(b, s.hold(0, n))

	return h.usage(b).since(before)
}

// hold acquires n semaphores whose names contain the numbers from first. It sends all requests without waiting for
// answers.
func (s *session) hold(first, n int) error {
	var g errgroup.Group
	g.Go(func() error {
		for i := range n {
			if err := s.sendAcquire(fmt.Sprintf("held-%06d", first+i)); err != nil {
				return err
			}
		}

		return nil
	})
	g.Go(func() error {
		for range n {
			if err := s.awaitAcquired(); err != nil {
				return err
			}
		}

		return nil
	})

	return g.Wait()
}
