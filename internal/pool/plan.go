package pool

import (
	"path"
	"slices"
	"strings"

	"tenure/internal/assign"
	"tenure/internal/clock"
	"tenure/internal/roster"
)

// plan computes the target, and what follows from it for each task.
func (c *Core) plan(now clock.Instant) {
	c.wants, c.nobody = nil, nil
	c.reports.idles = true
	if !c.seen {
		return
	}
	p := c.newPlan(now)
	c.findHolders()
	for _, t := range c.list {
		c.look(now, t, p)
	}
	if c.Greedy {
		for i := range p.free { // each worker begins elsewhere, so that workers that start together do not collide
			c.wants = append(c.wants, p.free[(i+p.offset)%len(p.free)])
		}

		return
	}
	c.buffer = p.first
	c.assign(p, &p.first)
	if len(p.second.planned) > 0 {
		c.assign(p, &p.second)
	}
	c.adopt(now, p)
}

// A plan is the input of the target.
type plan struct {
	members []assign.Member // their capacities are what is left for the phases that follow
	index   map[string]int
	self    int

	// Tasks that a member declines come second, with the capacity that is left. So a task that fails or is refused
	// everywhere moves no other task.
	first, second phase

	declined map[roster.Hash]bool
	kept     map[roster.Hash]string

	free   []*Task // that nobody owns and this worker may take
	offset int
}

// A phase is an assignment of some of the tasks.
type phase struct {
	planned []*Task
	tasks   []assign.Task
	owners  []int
}

func (f *phase) add(t *Task, owner int) {
	f.planned = append(f.planned, t)
	f.tasks = append(f.tasks, assign.Task{Name: t.Name, Weight: t.weight})
	f.owners = append(f.owners, owner)
}

func (c *Core) newPlan(now clock.Instant) *plan {
	p := &plan{index: map[string]int{}, declined: map[roster.Hash]bool{}, kept: c.ghosts.kept()}
	p.first = phase{c.buffer.planned[:0], c.buffer.tasks[:0], c.buffer.owners[:0]}
	if !c.Greedy {
		p.members = append(p.members, c.self(now, p))
	}
	for _, m := range c.members {
		if m.Digest != c.digest || m.Mode == roster.Greedy || m.Leaving && m.Named {
			continue
		}
		p.members = append(p.members, assign.Member{
			Name: m.Worker, Capacity: m.Capacity, Leaving: m.Leaving, Accepts: c.acceptsOf(m),
		})
		for _, h := range m.Declined {
			p.declined[h] = true
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

// self returns this worker as a member.
func (c *Core) self(now clock.Instant, p *plan) assign.Member {
	self := assign.Member{Name: c.Worker, Capacity: c.Capacity, Leaving: c.draining}
	choosy := c.Only != ""
	for _, t := range c.active {
		if t.occupies() && (t.stale || !t.listed) {
			self.Capacity -= t.weight
			choosy = choosy || t.stale
		}
	}
	for _, t := range c.list {
		if t.away > now || t.refused > 0 {
			p.declined[t.hash] = true
			choosy = true
		}
	}
	if choosy {
		self.Accepts = func(task string) bool { return c.accepts(now, c.tasks[task]) }
	}
	self.Capacity = max(self.Capacity, 0)

	return self
}

// accepts reports whether this worker takes the task.
func (c *Core) accepts(now clock.Instant, t *Task) bool {
	return t.away <= now && (!t.stale || !t.occupies()) && matches(c.Only, t.Name)
}

// acceptsOf returns the tasks that another worker takes, or nil for all of them.
func (c *Core) acceptsOf(m roster.Member) func(task string) bool {
	if m.Only == "" && len(m.Declined) == 0 {
		return nil
	}

	return func(task string) bool {
		return matches(m.Only, task) && (len(m.Declined) == 0 || !m.Declined.Has(c.tasks[task].hash))
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
		t.free, t.idle = 0, 0

		return
	}
	held := t.holder != ""
	if held || t.holds() {
		t.idle = 0
	} else {
		c.nobody = append(c.nobody, t)
		t.idle = orNow(t.idle, c.dirtied)
	}
	if !t.holds() && t.away > now && (c.replan == 0 || t.away < c.replan) {
		c.replan = t.away
	}
	owner, planned := assign.None, true
	switch keeper, kept := p.kept[t.hash]; {
	case t.holds():
		owner = p.self
	case held:
		t.owned, t.refused, t.earlier = true, 0, strings.Contains(t.holder, lostMark)
		owner, planned = p.member(t.holder) // it is not for a greedy worker, another list, or a named worker that leaves
	case kept && keeper == "":
		t.owned, planned = true, false
	case kept:
		if index, ok := p.member(keeper); ok {
			owner = index
		}
	}
	if t.holds() || t.owned {
		t.free = 0
	} else {
		t.free = orNow(t.free, now)
		if c.accepts(now, t) {
			p.free = append(p.free, t)
		}
	}
	switch {
	case !planned || c.Greedy:
	case t.free != 0 && p.declined[t.hash]:
		p.second.add(t, assign.None)
	default:
		p.first.add(t, owner)
	}
}

// findHolders notes which other worker owns which task. If several announce it, the first one counts.
func (c *Core) findHolders() {
	for _, t := range c.list {
		t.holder = ""
	}
	for i := range c.members {
		for _, h := range c.members[i].Held {
			if t := c.hashes[h]; t != nil && t.holder == "" {
				t.holder = c.members[i].Worker
			}
		}
	}
}

func orNow(i, now clock.Instant) clock.Instant {
	if i == 0 {
		return now
	}

	return i
}

// member returns the index of a worker.
func (p *plan) member(name string) (index int, ok bool) {
	index, ok = p.index[name]

	return index, ok
}

// assign computes the target of a phase. Balance stops no task for one that is free, so what it leaves out stays.
func (c *Core) assign(p *plan, f *phase) {
	for i, member := range assign.Balance(f.tasks, p.members, f.owners) {
		t := f.planned[i]
		if member == assign.None {
			continue
		}
		m := &p.members[member]
		m.Capacity = max(m.Capacity-t.weight, 0)
		if member == p.self {
			t.mine = true
			c.wants = append(c.wants, t)
		} else {
			t.to = m.Name
		}
	}
}

// adopt adds the tasks to those to ask for that another worker should have taken long ago. Its list may be different.
func (c *Core) adopt(now clock.Instant, p *plan) {
	for _, t := range p.free {
		if t.mine {
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
