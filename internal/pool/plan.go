package pool

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"tenure/internal/assign"
	"tenure/internal/clock"
	"tenure/internal/roster"
)

// earlierMark is in the name that the core gives to an earlier session of this worker. No worker has it in its name.
const earlierMark = "\x00"

// meet takes note of the announcements.
func (c *Core) meet(now clock.Instant, members []roster.Member) {
	others := make([]roster.Member, 0, len(members))
	for _, m := range members {
		switch {
		case m.Session == c.session:
			continue
		case m.Worker == c.Worker: // an earlier session of this worker, which is lost
			m.Worker += earlierMark + fmt.Sprint(m.Session)
			m.Leaving, m.Named = true, false
		}
		others = append(others, m)
	}
	others = roster.Sort(others)
	c.ghosts.meet(c, now, c.members, others)
	c.holders = map[roster.Hash]string{}
	for _, m := range others {
		for _, h := range m.Held {
			if _, ok := c.holders[h]; !ok {
				c.holders[h] = m.Worker
			}
		}
		if c.Once && m.Digest == c.digest {
			c.learn(m)
		}
	}
	c.members = others

	var shape strings.Builder
	fmt.Fprintln(&shape, c.digest)
	names := []string{c.Worker}
	for _, m := range others {
		fmt.Fprintf(&shape, "%q %d %q %s %s %t\n", m.Worker, m.Capacity, m.Only, m.Digest, m.Mode, m.Leaving)
		if !strings.Contains(m.Worker, earlierMark) {
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

// plan computes the target, and what follows from it for each task.
func (c *Core) plan(now clock.Instant) {
	c.wants, c.nobody = nil, nil
	if !c.seen {
		return
	}
	p := c.newPlan(now)
	for _, t := range c.list {
		c.look(now, t, p)
	}
	if c.Greedy {
		for i := range p.free { // each worker begins elsewhere, so that workers that start together do not collide
			c.wants = append(c.wants, p.free[(i+p.offset)%len(p.free)])
		}

		return
	}
	for i, member := range assign.Balance(p.tasks, p.members, p.owners) {
		t := p.planned[i]
		t.mine, t.to = false, ""
		switch {
		case member == p.self:
			t.mine = true
			c.wants = append(c.wants, t)
		case member != assign.None:
			t.to = p.members[member].Name
		}
	}
	c.adopt(now, p)
}

// A plan is the input of the target.
type plan struct {
	members []assign.Member
	index   map[string]int
	self    int

	planned []*Task
	tasks   []assign.Task
	owners  []int

	free   []*Task // that nobody owns and this worker may take
	offset int
}

func (c *Core) newPlan(now clock.Instant) *plan {
	p := &plan{index: map[string]int{}}
	self := assign.Member{
		Name: c.Worker, Capacity: c.Capacity, Leaving: c.draining,
		Accepts: func(task string) bool { return c.accepts(now, c.tasks[task]) },
	}
	for _, t := range c.active {
		if t.occupies() && t.stale {
			self.Capacity -= t.weight
		}
	}
	self.Capacity = max(self.Capacity, 0)
	if !c.Greedy {
		p.members = append(p.members, self)
	}
	for _, m := range c.members {
		if m.Digest == c.digest && m.Mode != roster.Greedy && !(m.Leaving && m.Named) {
			p.members = append(p.members, assign.Member{
				Name: m.Worker, Capacity: m.Capacity, Leaving: m.Leaving, Accepts: c.acceptsOf(m),
			})
		}
	}
	slices.SortFunc(p.members, func(a, b assign.Member) int { return strings.Compare(a.Name, b.Name) })
	for i, m := range p.members {
		p.index[m.Name] = i
	}
	p.self = p.index[c.Worker]
	p.offset = int(roster.HashOf(c.Worker) >> 1 & 0xffffff)

	return p
}

// accepts reports whether this worker takes the task.
func (c *Core) accepts(now clock.Instant, t *Task) bool {
	return t.away <= now && !(t.stale && t.occupies()) && matches(c.Only, t.Name)
}

// acceptsOf returns the tasks that another worker takes, or nil for all of them.
func (c *Core) acceptsOf(m roster.Member) func(task string) bool {
	if m.Only == "" && len(m.Declined) == 0 {
		return nil
	}

	return func(task string) bool {
		return matches(m.Only, task) && !m.Declined.Has(c.tasks[task].hash)
	}
}

func matches(pattern, task string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, task)

	return ok && err == nil
}

// look finds out who owns a task, and adds it to the plan.
func (c *Core) look(now clock.Instant, t *Task, p *plan) {
	t.mine, t.to, t.owned, t.earlier = false, "", false, false
	if t.final {
		t.free = 0

		return
	}
	owner := assign.None
	planned := true
	holder, held := c.holders[t.hash]
	switch {
	case t.holds():
		owner = p.self
	case held:
		t.owned, t.earlier = true, strings.Contains(holder, earlierMark)
		index, ok := p.index[holder]
		owner, planned = index, ok // not one of a greedy worker, of one with another list, or of a named one that leaves
	case c.ghosts.hold(t.hash):
		t.owned, planned = true, false
	}
	if t.holds() || held {
		t.free = 0
	} else {
		c.nobody = append(c.nobody, t)
		if t.free == 0 || t.owned {
			t.free = now
		}
	}
	if !t.holds() && !t.owned && c.accepts(now, t) {
		p.free = append(p.free, t)
	}
	if !t.holds() && t.away > now && (c.replan == 0 || t.away < c.replan) {
		c.replan = t.away
	}
	if planned && !c.Greedy {
		p.planned = append(p.planned, t)
		p.tasks = append(p.tasks, assign.Task{Name: t.Name, Weight: t.weight})
		p.owners = append(p.owners, owner)
	}
}

// adopt adds the tasks to those to ask for that another worker should have taken long ago. Its list may be different.
func (c *Core) adopt(now clock.Instant, p *plan) {
	for _, t := range p.free {
		if t.mine || t.free == 0 {
			continue
		}
		due := t.free.Add(adoptAfter * c.Timeout)
		switch {
		case now >= due:
			c.wants = append(c.wants, t)
		case c.replan == 0 || due < c.replan:
			c.replan = due
		}
	}
}
