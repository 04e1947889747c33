//go:build linux

package workers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
)

// A task that fails immediately starts at most 3 times in the first 2 s and 12 times in the first minute, in all
// workers together, although they are killed and started again.
func TestPoison(t *testing.T) {
	t.Parallel()
	s := newStage(t, embedded)
	c := s.newCrew(6, with(Job{Short: true, Code: 1}, "--tasks", "1", "--timeout", long.String())...)
	s.until("the task starts", func() bool { return len(s.lines) > 0 })
	first := s.lines[0].At
	span := *poisonFlag
	for next := first; clock.System().Now().Sub(first) < span; {
		c.strikeOne()
		next = next.Add(time.Second)
		s.until("it is time for the next kill", func() bool { return clock.System().Now() >= next })
	}
	s.until("the task runs again", func() bool { return s.count(0, Begins)["job-0"] >= 3 })
	within := func(d time.Duration) (n int) {
		for _, l := range s.lines {
			if l.Verb == Begins && l.At.Sub(first) < d {
				n++
			}
		}

		return n
	}
	t.Logf("%d starts in 2s, %d in %v, in %d processes", within(2*time.Second), within(span), span, c.started)
	require.LessOrEqual(t, within(2*time.Second), 3)
	limit := 12
	if span < time.Minute/2 {
		limit = 8 // a failure does not count if its worker is killed before it is recorded
	}
	require.LessOrEqual(t, within(span), limit)
}
