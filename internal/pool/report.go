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

	nobody   []string      // the tasks that nobody owns
	since    clock.Instant // since when these
	told     []string      // the unassigned tasks that were reported last
	differ   []string      // the workers whose list differs
	differed clock.Instant
	toldOf   []string
	due      clock.Instant
}

// wake calls at with the instants at which something is due.
func (r *reports) wake(at func(clock.Instant)) {
	if r.due != 0 {
		at(r.due)
	}
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
	r.due = 0
	if !c.seen || c.draining {
		return
	}
	c.reportUnassigned(now)
	c.reportMismatch(now)
}

func (c *Core) reportUnassigned(now clock.Instant) {
	r := &c.reports
	var names []string
	for _, t := range c.nobody {
		if !t.holds() && !t.final {
			names = append(names, t.Name)
		}
	}
	if !slices.Equal(names, r.nobody) {
		r.nobody, r.since = names, now
	}
	if slices.Equal(names, r.told) {
		return
	}
	if due := r.since.Add(unassigned); now < due {
		r.due = due

		return
	}
	r.told = names
	c.tell(Unassigned{names, len(c.list)})
}

func (c *Core) reportMismatch(now clock.Instant) {
	r := &c.reports
	var names []string
	for _, m := range c.members {
		if m.Digest != c.digest && !m.Leaving {
			names = append(names, m.Worker)
		}
	}
	if !slices.Equal(names, r.differ) {
		r.differ, r.differed = names, now
	}
	if slices.Equal(names, r.toldOf) {
		return
	}
	due := r.differed.Add(c.Settle)
	if now < due && len(names) > 0 {
		if r.due == 0 || due < r.due {
			r.due = due
		}

		return
	}
	r.toldOf = names
	c.tell(Mismatch{names})
}
