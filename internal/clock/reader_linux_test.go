package clock

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// machine is a machine with three clocks. Each reading takes a while.
type machine struct {
	running, exact, wall int64
	readings             int // exact ones
	delay                func() int64
}

func (m *machine) run(d int64) {
	m.running += d
	m.exact += d
	m.wall += d
}

func (m *machine) sleep(d int64) {
	m.exact += d
	m.wall += d
}

func (m *machine) reader() *reader {
	return &reader{
		read: func() reading {
			wall := m.wall
			m.run(m.delay())

			return reading{running: m.running, wall: wall}
		},
		exact: func() int64 {
			m.readings++
			m.run(m.delay())
			now := m.exact
			m.run(m.delay())

			return now
		},
	}
}

func newMachine() *machine {
	return &machine{running: 5e9, exact: 7e9, wall: 1e18, delay: func() int64 { return 50 }}
}

// Whatever happens to the machine, a reader differs from an exact reading by less than half a millisecond, and does not
// go back. The machine runs, sleeps, interrupts the reader, and has its wall clock set.
func TestReader(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine()
		seed := rapid.Uint64().Draw(t, "seed")
		random := rand.New(rand.NewPCG(seed, seed))
		interruptions := rapid.IntRange(0, 2).Draw(t, "interruptions in ten readings")
		m.delay = func() int64 {
			if random.IntN(10) < interruptions {
				return random.Int64N(int64(10 * time.Millisecond))
			}

			return random.Int64N(10_000)
		}
		r := m.reader()
		span := rapid.Int64Range(0, int64(5*time.Millisecond))
		steps := map[string]func(*rapid.T){
			"run":        func(t *rapid.T) { m.run(span.Draw(t, "for")) },
			"doze":       func(t *rapid.T) { m.sleep(span.Draw(t, "for") / 50) },
			"sleep":      func(t *rapid.T) { m.sleep(1e6 * span.Draw(t, "for")) },
			"set wall":   func(t *rapid.T) { m.wall += 1e3*span.Draw(t, "by") - 2e9 },
			"nudge wall": func(t *rapid.T) { m.wall += span.Draw(t, "by")/50 - 5e4 },
		}
		var last Instant
		steps[""] = func(t *rapid.T) {
			// A sleep in the middle of a reading is as if the machine slept afterwards, so the state before it counts.
			before := m.exact
			now := r.now()
			if now < last {
				t.Fatalf("the clock went back by %v", last.Sub(now))
			}
			last = now
			late := Instant(before).Sub(now)
			early := now.Sub(Instant(m.exact))
			if late > refresh/2 || early > refresh/2 {
				t.Fatalf("the clock is late by %v or early by %v", late, early)
			}
		}
		t.Repeat(steps)
	})
}

// A sleep is noticed immediately, even if the wall clock is set at the same time. If it is set back by just the length
// of the sleep, the sleep is noticed after a millisecond.
func TestReader_Sleep(t *testing.T) {
	t.Parallel()
	for _, set := range []time.Duration{0, time.Hour, -time.Hour, -time.Minute, -time.Second + time.Millisecond} {
		m := newMachine()
		r := m.reader()
		before := r.now()
		m.sleep(int64(time.Second))
		m.wall += int64(set)
		require.InDelta(t, time.Second, r.now().Sub(before), float64(tolerance), "set by %v", set)
	}

	m := newMachine()
	r := m.reader()
	before := r.now()
	m.sleep(int64(time.Second))
	m.wall -= int64(time.Second)
	m.run(int64(refresh))
	require.InDelta(t, time.Second+refresh, r.now().Sub(before), float64(tolerance))
}

// The clock does not go back for a goroutine that reads it while another one makes an exact reading.
func TestReader_Concurrent(t *testing.T) {
	t.Parallel()
	m := newMachine()
	r := m.reader()
	r.now()
	m.delay = func() int64 { return 10_000 }
	exact := r.exact
	var other Instant
	r.exact = func() int64 {
		defer func() {
			m.wall -= 1e9
			other = r.now()
		}()

		return exact()
	}
	m.wall += 1e9
	r.now()
	m.delay = func() int64 { return 0 }
	require.NotZero(t, other)
	require.GreaterOrEqual(t, r.now(), other)
}

// While the machine runs, a reader makes one exact reading in each millisecond.
func TestReader_FewExactReadings(t *testing.T) {
	t.Parallel()
	m := newMachine()
	r := m.reader()
	for range 10_000 {
		r.now()
		m.run(950)
	}
	require.InDelta(t, 10, m.readings, 1)
}

func BenchmarkSystem(b *testing.B) {
	c := System()
	for b.Loop() {
		c.Now()
	}
}
