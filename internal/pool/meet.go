package pool

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tenure/internal/clock"
	"tenure/internal/roster"
)

// meet takes note of the announcements. It makes the target dirty if anything has changed that matters for it.
func (c *Core) meet(now clock.Instant, members []roster.Member) {
	others := c.others(members)
	if c.seen && slices.EqualFunc(others, c.members, sameMember) {
		return
	}
	switch {
	case !c.seen || c.Greedy || !slices.EqualFunc(c.members, others, c.onlyTook):
		c.dirty = true
	case c.stale == 0:
		c.stale = now.Add(tookPause)
	}
	c.news = true // the announcement lists ghosts
	c.greet(now, others)
	c.ghosts.meet(c, now, c.members, others)
	for _, m := range others {
		if c.Once && m.Digest == c.digest {
			c.learn(m)
		}
	}
	c.members = others
	c.reports.differs = true
	c.measure(now)
}

// onlyTook reports whether a member has done nothing but take tasks that this worker does not ask for. While a pool
// starts, that is nearly all that happens, and the target of this worker need not change for it. A greedy worker has no
// target, and asks for the tasks that it has not seen taken.
func (c *Core) onlyTook(before, after roster.Member) bool {
	took := make(roster.Hashes, 0, max(0, len(after.Held)-len(before.Held)))
	rest := before.Held
	for _, h := range after.Held {
		if len(rest) > 0 && rest[0] == h {
			rest = rest[1:]
		} else {
			took = append(took, h)
		}
	}
	if len(rest) > 0 {
		return false // it has given one back
	}
	for _, t := range c.active {
		if t.state == asking && took.Has(t.hash) {
			return false
		}
	}
	for _, t := range c.gone {
		if took.Has(t.hash) {
			return false
		}
	}
	before.Held = after.Held

	return sameMember(before, after)
}

// greet makes the worker wait before it asks for tasks, when it or another one has joined. If many start together, they
// would otherwise ask for what belongs to those that join a moment later.
func (c *Core) greet(now clock.Instant, others []roster.Member) {
	joined := !c.seen
	known := map[string]bool{}
	for _, m := range c.members {
		known[m.Worker] = true
	}
	for _, m := range others {
		joined = joined || !known[m.Worker] && m.Capacity > 0 && !m.Leaving
	}
	if !joined {
		return
	}
	if now >= c.calm {
		c.burst = now
	}
	c.calm = min(now.Add(calmPause+calmPer*time.Duration(len(others))), c.burst.Add(maxCalm))
}

// others returns the other members, sorted by name. Of several announcements with the same name, the newest counts: the
// sessions of the others are lost, and what they own remains with them until they end.
func (c *Core) others(members []roster.Member) []roster.Member {
	others := slices.DeleteFunc(slices.Clone(members), func(m roster.Member) bool { return m.Session == c.session })
	slices.SortFunc(others, func(a, b roster.Member) int {
		return cmp.Or(strings.Compare(a.Worker, b.Worker), cmp.Compare(a.Token, b.Token))
	})
	for i := range others {
		m := &others[i]
		if m.Worker == c.Worker || i+1 < len(others) && others[i+1].Worker == m.Worker {
			m.Worker += lostMark + fmt.Sprint(m.Session)
			m.Leaving, m.Named = true, false
		}
	}

	return others
}

// lostMark is in the names of members whose sessions are lost. Names of workers do not contain it.
const lostMark = "\x00"

// sameMember reports whether two announcements differ only in what people want to know.
func sameMember(a, b roster.Member) bool {
	return a.Session == b.Session && a.Token == b.Token && a.Worker == b.Worker && a.Named == b.Named &&
		a.Mode == b.Mode && a.Capacity == b.Capacity && a.Only == b.Only && a.Digest == b.Digest &&
		a.Leaving == b.Leaving && a.Timeout == b.Timeout && slices.Equal(a.Held, b.Held) &&
		slices.Equal(a.Declined, b.Declined) && slices.Equal(a.Done, b.Done) && slices.Equal(a.Failed, b.Failed) &&
		slices.EqualFunc(a.Ghosts, b.Ghosts, func(a, b roster.Ghost) bool {
			return a.Worker == b.Worker && slices.Equal(a.Held, b.Held)
		})
}

// measure notes when the shape of the pool has changed, and reports its members.
func (c *Core) measure(now clock.Instant) {
	var shape strings.Builder
	fmt.Fprintln(&shape, c.digest)
	names := []string{c.Worker}
	for _, m := range c.members {
		fmt.Fprintf(&shape, "%q %d %q %s %s %t\n", m.Worker, m.Capacity, m.Only, m.Digest, m.Mode, m.Leaving)
		if !strings.Contains(m.Worker, lostMark) {
			names = append(names, m.Worker)
		}
	}
	if shape.String() != c.shape {
		c.shape, c.changed = shape.String(), now
	}
	slices.Sort(names)
	if !slices.Equal(names, c.reports.members) {
		c.reports.members = names
		c.tell(Members{names})
	}
}

// learn notes which tasks another worker with the same list knows to be done.
func (c *Core) learn(m roster.Member) {
	for i, t := range c.list {
		if !t.final && (m.Done.Has(i) || m.Failed.Has(i)) {
			c.finish(t, m.Failed.Has(i), false)
		}
	}
}
