package cluster_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// service knows when clients were answered.
type service struct {
	history *history

	mu      sync.Mutex // guards answers
	answers []answer
}

// answer is an operation that has succeeded.
type answer struct {
	client       *client
	began, ended int64 // as in the history
}

func (s *service) add(c *client, began int64) {
	ended := s.history.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, answer{c, began, ended})
}

// gap is what clients that may use all servers noticed of a fault.
type gap struct {
	none   time.Duration // the longest time in which none was answered
	worst  time.Duration // the longest operation of one that waits for nobody else
	pinned time.Duration // the longest operation of one that may use one server only, which may be the one that failed
}

// row returns a row for the table in docs/benchmarks.md: the name of a fault, and the median and the longest time of
// each kind.
func row(name string, gaps []gap) string {
	if len(gaps) == 0 {
		return "| " + name + " | not run |"
	}
	text := fmt.Sprintf("| %s |", name)
	for _, of := range []func(gap) time.Duration{
		func(g gap) time.Duration { return g.none }, func(g gap) time.Duration { return g.worst },
		func(g gap) time.Duration { return g.pinned },
	} {
		var all []time.Duration
		for _, g := range gaps {
			all = append(all, of(g))
		}
		slices.Sort(all)
		text += fmt.Sprintf(" %.1f s, %.1f s |", all[len(all)/2].Seconds(), all[len(all)-1].Seconds())
	}

	return text
}

// between returns what clients noticed from one instant to another.
func (s *service) between(from, to int64) (g gap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ends []int64
	for _, a := range s.answers {
		if a.ended < from || a.began > to || a.client.kind == contender {
			continue
		}
		took := time.Duration(a.ended - a.began)
		if a.client.front != nil {
			g.pinned = max(g.pinned, took)

			continue
		}
		g.worst = max(g.worst, took)
		ends = append(ends, min(a.ended, to))
	}
	slices.Sort(ends)
	last := from
	for _, end := range ends {
		g.none = max(g.none, time.Duration(end-last))
		last = end
	}
	g.none = max(g.none, time.Duration(to-last))

	return g
}

// stall knows for how long this process, and thus probably the machine, has stood still.
type stall struct{ longest atomic.Int64 }

// watch measures until it is to end.
func (s *stall) watch(h *history, ending func() bool) {
	const rest = 20 * time.Millisecond
	tick := time.NewTicker(rest)
	defer tick.Stop()
	for last := h.now(); !ending(); {
		<-tick.C
		now := h.now()
		s.longest.Store(max(s.longest.Load(), now-last))
		last = now
	}
}

// take returns the longest time since the last call.
func (s *stall) take() time.Duration { return time.Duration(s.longest.Swap(0)) }
