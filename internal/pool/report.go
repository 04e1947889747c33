package pool

import (
	"slices"

	"tenure/internal/clock"
)

// reports holds what the worker has told people, and what it is about to tell.
type reports struct {
	refusal error // the newest one
	full    bool
	members []string

	idles    bool          // the unassigned tasks may have changed
	idleAt   clock.Instant // when to look at them again; 0: when they change
	notAgain clock.Instant // not before this
	told     []string      // the unassigned tasks that were reported last

	differs  bool          // the workers whose list differs may have changed
	differ   []string      // these workers
	differed clock.Instant // since when these
	differAt clock.Instant // when to report them; 0: they are reported
	toldOf   []string
}

// wake calls at with the instants at which something is due.
func (r *reports) wake(at func(clock.Instant)) {
	if r.idles {
		at(r.notAgain)
	}
	if r.idleAt != 0 {
		at(max(r.idleAt, r.notAgain))
	}
	at(r.differAt)
}

// report tells people what has changed.
func (c *Core) report(now clock.Instant) {
	r := &c.reports
	owned := 0
	for _, t := range c.active {
		if t.state == running || t.state == stopping || t.state == waiting {
			owned++
		}
	}
	full := owned > 0 && (c.load() >= c.Capacity || owned == len(c.list))
	if full && !r.full {
		c.tell(Full{owned, len(c.list)})
	}
	r.full = full
	if !c.seen || c.draining {
		return
	}
	c.reportUnassigned(now)
	c.reportMismatch(now)
}

// reportUnassigned reports the tasks that nobody has owned for a while.
func (c *Core) reportUnassigned(now clock.Instant) {
	r := &c.reports
	if c.stale != 0 { // what the core knows of free tasks is old
		return
	}
	if now < r.notAgain || !r.idles && (r.idleAt == 0 || now < r.idleAt) {
		return
	}
	r.idles, r.idleAt, r.notAgain = false, 0, now.Add(reportPause)
	var names []string
	for _, t := range c.nobody {
		if t.holds() || t.final || t.idle == 0 {
			continue
		}
		if due := t.idle.Add(unassigned); now >= due {
			names = append(names, t.Name)
		} else if r.idleAt == 0 || due < r.idleAt {
			r.idleAt = due
		}
	}
	if !slices.Equal(names, r.told) {
		r.told = names
		c.tell(Unassigned{names, len(c.list)})
	}
}

// reportMismatch reports the workers whose list has differed for longer than lists need to reach all of them.
func (c *Core) reportMismatch(now clock.Instant) {
	r := &c.reports
	if r.differs {
		r.differs = false
		var names []string
		for _, m := range c.members {
			if m.Digest != c.digest && !m.Leaving {
				names = append(names, m.Worker)
			}
		}
		if !slices.Equal(names, r.differ) {
			r.differ, r.differed = names, now
		}
		r.differAt = 0
		if !slices.Equal(names, r.toldOf) {
			r.differAt = r.differed
			if len(names) > 0 {
				r.differAt = r.differed.Add(c.Settle)
			}
		}
	}
	if r.differAt != 0 && now >= r.differAt {
		r.differAt, r.toldOf = 0, r.differ
		c.tell(Mismatch{r.differ})
	}
}
