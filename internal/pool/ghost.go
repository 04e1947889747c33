package pool

import (
	"maps"
	"slices"
	"time"

	"tenure/internal/clock"
	"tenure/internal/roster"
)

// A ghost is the place of a named worker that is leaving, has left, or has just come back. Until its time is over, its
// tasks stay free while the worker is away, and are its own when it is back.
type ghost struct {
	held  roster.Hashes
	state ghostState
	told  bool          // another worker has told this one about it
	until clock.Instant // the end of its time
}

type ghostState uint8

const (
	parting ghostState = iota // it still announces itself
	absent
	back
	over // it is only known so that no other worker tells about it again; until then it is forgotten
)

// ghosts maps names of workers to their ghosts. Workers tell each other about ghosts, so that a worker that has just
// joined knows them too.
type ghosts map[string]*ghost

// limitGhost limits what other workers can say about how long a place is kept.
const limitGhost = 30 * time.Minute

// meet compares two views of the pool.
func (g ghosts) meet(c *Core, now clock.Instant, before, after []roster.Member) {
	present := map[string]bool{c.Worker: true}
	for _, m := range after {
		present[m.Worker] = true
	}
	for _, m := range before {
		if m.Named && !present[m.Worker] {
			g.vanish(m, now)
		}
	}
	for _, m := range after {
		switch old := g[m.Worker]; {
		case m.Named && m.Leaving:
			g.part(m, before, now)
		case old == nil:
		case old.state == over || !m.Named:
			delete(g, m.Worker)
		case old.state != back:
			old.state, old.until = back, now.Add(time.Duration(m.Timeout))
		}
	}
	g.hear(c, now, after, present)
}

// vanish handles a worker that is in the pool no more.
func (g ghosts) vanish(m roster.Member, now clock.Instant) {
	old := g[m.Worker]
	switch {
	case old == nil || old.state == over:
		g[m.Worker] = &ghost{held: m.Held, state: absent, until: now.Add(time.Duration(m.Timeout))}
	case old.state == parting:
		old.state = absent
	case old.state == back:
		old.held, old.state, old.until = union(old.held, m.Held), absent, now.Add(time.Duration(m.Timeout))
	}
}

// part handles a worker that is leaving.
func (g ghosts) part(m roster.Member, before []roster.Member, now clock.Instant) {
	old := g[m.Worker]
	if old == nil {
		old = &ghost{}
		g[m.Worker] = old
	}
	old.held = union(old.held, m.Held)
	for _, b := range before {
		if b.Worker == m.Worker { // what it owned before it began to leave
			old.held = union(old.held, b.Held)
		}
	}
	old.state, old.told, old.until = parting, false, now.Add(time.Duration(m.Timeout))
}

// hear handles what the others tell about ghosts.
func (g ghosts) hear(c *Core, now clock.Instant, members []roster.Member, present map[string]bool) {
	named := map[string]bool{}
	for _, m := range members {
		for _, told := range m.Ghosts {
			named[told.Worker] = true
			if g[told.Worker] != nil || present[told.Worker] && told.Worker != c.Worker {
				continue
			}
			one := &ghost{
				held: told.Held, state: absent, told: true, until: now.Add(min(time.Duration(told.Left), limitGhost)),
			}
			if told.Worker == c.Worker {
				one.state = back
			}
			g[told.Worker] = one
		}
	}
	for name, one := range g {
		if one.told && one.state != over && !named[name] { // its time was over before
			one.end(now)
		}
	}
}

func (one *ghost) end(now clock.Instant) { one.state, one.until = over, now.Add(time.Minute) }

func union(a, b roster.Hashes) roster.Hashes {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)

	return slices.Compact(all)
}

// kept returns the tasks that are kept for ghosts: the empty name if the worker is away, and its name if it is back.
func (g ghosts) kept() map[roster.Hash]string {
	var tasks map[roster.Hash]string
	for _, name := range slices.Sorted(maps.Keys(g)) {
		one := g[name]
		if one.state == over {
			continue
		}
		keeper := ""
		if one.state == back {
			keeper = name
		}
		if tasks == nil {
			tasks = map[roster.Hash]string{}
		}
		for _, h := range one.held {
			if other, ok := tasks[h]; !ok || other != "" {
				tasks[h] = keeper
			}
		}
	}

	return tasks
}

// expire ends the time of ghosts.
func (g ghosts) expire(c *Core, now clock.Instant) {
	for name, one := range g {
		switch {
		case one.state == parting || now < one.until:
		case one.state == over:
			delete(g, name)
		default:
			one.end(now)
			c.dirty, c.news = true, true
		}
	}
}

// next returns when a ghost ends or can be forgotten, or 0.
func (g ghosts) next() (next clock.Instant) {
	for _, one := range g {
		if one.state != parting && (next == 0 || one.until < next) {
			next = one.until
		}
	}

	return next
}

// list returns the ghosts for the announcement.
func (g ghosts) list(now clock.Instant) (all []roster.Ghost) {
	for _, name := range slices.Sorted(maps.Keys(g)) {
		if one := g[name]; one.state != over {
			all = append(all, roster.Ghost{Worker: name, Left: roster.Millis(one.until.Sub(now)), Held: one.held})
		}
	}

	return all
}
