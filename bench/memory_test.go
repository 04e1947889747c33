package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

const attaching = 64 // attaches under way at once

// size returns a count for a benchmark, or a small one for a smoke test.
func size(n int) int {
	if testing.Short() {
		return n / 100
	}

	return n
}

// BenchmarkMemory measures what the server's process grows by, for each session or semaphore: its resident set, as the
// system counts it, and the part of its heap and stacks. Time is not measured.
func BenchmarkMemory(b *testing.B) {
	for _, k := range []kind{memory, pebble} {
		b.Run(fmt.Sprintf("store=%s/sessions=%d", k, size(10_000)), func(b *testing.B) {
			var attached, detached growth
			for range b.N {
				a, d := measureSessions(b, k, size(10_000))
				attached, detached = attached.add(a), detached.add(d)
			}
			b.ReportMetric(0, "ns/op")
			attached.report(b, "attached")
			detached.report(b, "detached")
		})
		b.Run(fmt.Sprintf("store=%s/held=%d", k, size(100_000)), func(b *testing.B) {
			var held growth
			for range b.N {
				held = held.add(measureHeld(b, k, size(100_000)))
			}
			b.ReportMetric(0, "ns/op")
			held.report(b, "held")
		})
	}
}

// growth is in bytes for each session or semaphore, summed over the runs of a benchmark.
type growth struct{ resident, live float64 }

func (g growth) add(o growth) growth { return growth{g.resident + o.resident, g.live + o.live} }

func (g growth) report(b *testing.B, what string) {
	b.Helper()
	b.ReportMetric(g.resident/float64(b.N), "resident-B/"+what)
	b.ReportMetric(g.live/float64(b.N), "live-B/"+what)
}

func (u usage) since(before usage, n int) growth {
	live := u.Heap + u.Stacks - before.Heap - before.Stacks

	return growth{float64(u.Resident-before.Resident) / float64(n), float64(live) / float64(n)}
}

func measureSessions(b *testing.B, k kind, n int) (attached, detached growth) {
	b.Helper()
	h := startHost(b, k, b.TempDir())
	defer h.stop(b)
	c := dial(b, h.addr)
	first, err := c.attach(0, time.Hour/2)
	require.NoError(b, err)
	idle := new(errgroup.Group)
	idle.Go(first.idle)
	before := h.usage(b)

	sessions, err := c.attachMany(n)
	require.NoError(b, err)
	for _, s := range sessions {
		idle.Go(s.idle)
	}
	attached = h.usage(b).since(before, n)

	for _, s := range sessions {
		s.cancel()
	}
	for h.usage(b).Goroutines > before.Goroutines { // the server has not noticed all of it
		time.Sleep(10 * time.Millisecond)
	}
	detached = h.usage(b).since(before, n)
	first.cancel()
	_ = idle.Wait() // they end with the error of their cancelled stream

	return attached, detached
}

// idle answers pings until the stream ends.
func (s *session) idle() error {
	m, err := s.next()
	if err == nil {
		err = fmt.Errorf("idle session: got %v", m)
	}

	return err
}

func (c *client) attachMany(n int) ([]*session, error) {
	sessions := make([]*session, n)
	var g errgroup.Group
	g.SetLimit(attaching)
	for i := range sessions {
		g.Go(func() (err error) {
			sessions[i], err = c.attach(0, time.Hour/2)

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

	return h.usage(b).since(before, n)
}

// hold acquires n semaphores, named by numbers from the first, without waiting for one before it asks for the next.
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
