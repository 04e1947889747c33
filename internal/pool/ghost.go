package pool

import (
	"maps"
	"slices"
	"time"

	"tenure/internal/clock"
	"tenure/internal/roster"
)

// A ghost is the place of a named worker that is leaving or has left. Its tasks stay free until its time is over, so
// that the worker finds them when it comes back.
type ghost struct {
	held    roster.Hashes
	present bool          // it still announces itself
	until   clock.Instant // the end of its time; later, the ghost remains to be known as expired
	expired bool
	forget  clock.Instant
}

// ghosts maps names of workers to their ghosts. Workers tell each other about ghosts, so that a worker that has just
// joined knows them too.
type ghosts map[string]*ghost

// meet compares two views of the pool.
func (g ghosts) meet(c *Core, now clock.Instant, before, after []roster.Member) {
	present := map[string]bool{c.Worker: true}
	timeouts := map[string]time.Duration{}
	for _, m := range after {
		present[m.Worker] = true
		timeouts[m.Worker] = time.Duration(m.Timeout)
	}
	for _, m := range before {
		if m.Named && !m.Leaving && !present[m.Worker] && g[m.Worker] == nil {
			g[m.Worker] = newGhost(now, m.Held, time.Duration(m.Timeout))
		}
	}
	for _, m := range after {
		switch old := g[m.Worker]; {
		case m.Named && m.Leaving && old == nil:
			held := m.Held
			for _, b := range before {
				if b.Worker == m.Worker { // what it owned before it began to leave
					held = append(slices.Clone(b.Held), held...)
				}
			}
			slices.Sort(held)
			g[m.Worker] = newGhost(now, slices.Compact(held), time.Duration(m.Timeout))
			g[m.Worker].present = true
		case m.Named && m.Leaving:
			old.present = true
			old.until = now.Add(time.Duration(m.Timeout))
		case old != nil:
			delete(g, m.Worker) // it is back
		}
	}
	for name, old := range g {
		if old.present && !present[name] {
			old.present = false
		}
	}
	delete(g, c.Worker)
	for _, m := range after {
		for _, told := range m.Ghosts {
			if !present[told.Worker] && g[told.Worker] == nil {
				g[told.Worker] = newGhost(now, told.Held, min(time.Duration(told.Left), limitGhost))
			}
		}
	}
}

// limitGhost limits what other workers can say about how long a place is kept.
const limitGhost = 30 * time.Minute

func newGhost(now clock.Instant, held roster.Hashes, left time.Duration) *ghost {
	until := now.Add(left)

	return &ghost{held: held, until: until, forget: until.Add(left)}
}

// hold reports whether a task is kept for a ghost.
func (g ghosts) hold(task roster.Hash) bool {
	for _, one := range g {
		if !one.expired && one.held.Has(task) {
			return true
		}
	}

	return false
}

// expire ends the time of ghosts.
func (g ghosts) expire(c *Core, now clock.Instant) {
	for name, one := range g {
		switch {
		case one.present:
		case !one.expired && now >= one.until:
			one.expired, c.dirty = true, true
			one.forget = now.Add(one.forget.Sub(one.until))
		case one.expired && now >= one.forget:
			delete(g, name)
		}
	}
}

// next returns when a ghost expires or can be forgotten, or 0.
func (g ghosts) next() (next clock.Instant) {
	for _, one := range g {
		at := one.until
		if one.expired {
			at = one.forget
		}
		if !one.present && (next == 0 || at < next) {
			next = at
		}
	}

	return next
}

// list returns the ghosts for the announcement.
func (g ghosts) list(now clock.Instant) (all []roster.Ghost) {
	for _, name := range slices.Sorted(maps.Keys(g)) {
		if one := g[name]; !one.expired {
			all = append(all, roster.Ghost{Worker: name, Left: roster.Millis(one.until.Sub(now)), Held: one.held})
		}
	}

	return all
}
