package pool

import (
	"cmp"
	"slices"
	"time"

	"tenure/internal/clock"
)

// next does everything that is due.
func (c *Core) next(now clock.Instant) {
	c.ghosts.expire(c, now)
	c.dirty = c.dirty || c.replan != 0 && now >= c.replan || c.stale != 0 && now >= c.stale
	if c.dirty && c.dirtied == 0 {
		c.dirtied = now
	}
	if c.dirty && now >= c.notYet && (now >= c.calm || !c.seen) {
		c.dirty, c.replan, c.stale = false, 0, 0
		c.notYet = now.Add(planPause + planPer*time.Duration(len(c.list)))
		c.plan(now)
		c.dirtied = 0
	}
	c.arrive(now)
	c.advance(now)
	c.active = slices.DeleteFunc(c.active, func(t *Task) bool {
		t.active = t.state != apart

		return !t.active
	})
	c.announce(now)
	c.report(now)
	c.setWake(now)
}

func (c *Core) do(s Step)    { c.steps = append(c.steps, s) }
func (c *Core) tell(e Event) { c.do(Tell{e}) }

func (c *Core) enter(t *Task, s state, now clock.Instant) {
	if !t.active {
		t.active = true
		c.active = append(c.active, t)
	}
	c.news = c.news || t.occupies() || s >= waiting
	t.enter(s, now)
}

// leave makes the task apart.
func (c *Core) leave(t *Task, now clock.Instant) {
	if t.state >= waiting && t.why != Moved { // the target has room for one that has moved
		c.dirty = true
	}
	t.stale = false
	c.enter(t, apart, now)
	if !t.listed && !t.writing {
		delete(c.tasks, t.Name)
	}
}

// settle releases a closing task when its record is written.
func (c *Core) settle(now clock.Instant, t *Task) {
	switch {
	case t.writing:
	case t.stale:
		c.leave(t, now)
	default:
		c.enter(t, releasing, now)
		c.do(Release{t})
	}
}

// finish notes that a task is not run again.
func (c *Core) finish(t *Task, failed, here bool) {
	if t.final {
		return
	}
	t.final, t.failed, c.dirty, c.news = true, failed, true, true
	if !failed || !here { // Failed has reported a failure here
		c.tell(Done{t.Name, here, failed})
	}
}

// load returns the weight of the tasks that take up capacity.
func (c *Core) load() (sum int) {
	for _, t := range c.active {
		if t.occupies() {
			sum += t.weight
		}
	}

	return sum
}

// setWake computes when the core has something to do next.
func (c *Core) setWake(now clock.Instant) {
	c.wake = 0
	at := func(i clock.Instant) {
		if i > now && (c.wake == 0 || i < c.wake) {
			c.wake = i
		}
	}
	if c.dirty {
		at(max(c.notYet, c.calm))
	} else if c.replan != 0 {
		at(max(c.replan, c.notYet))
	}
	if c.stale != 0 {
		at(max(c.stale, c.notYet))
	}
	if len(c.gone) > 0 {
		at(c.gone[0].gone.Add(goneLimit))
	}
	at(c.ghosts.next())
	if c.seen && !c.announcing {
		if c.news {
			at(max(c.announceAt, c.newsAt))
		}
		at(c.heardAt)
	}
	c.reports.wake(at)
	if !c.Greedy && c.seen {
		at(c.changed.Add(c.Settle))
	}
	for _, t := range c.active {
		switch t.state {
		case waiting:
			at(t.due)
		case asking:
			if c.Greedy {
				at(c.stalled(t))
			}
			at(cmp.Or(t.nextSay, t.since.Add(peekAfter)))
		case stopping:
			at(cmp.Or(t.nextSay, t.since.Add(stuckAfter)))
		}
	}
}
