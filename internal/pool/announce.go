package pool

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"tenure/internal/clock"
	"tenure/internal/roster"
)

// announcement returns what the worker has to say.
func (c *Core) announcement(now clock.Instant) roster.Announcement {
	a := roster.Announcement{
		Worker: c.Worker, Named: c.Named, Who: c.Who, Labels: c.Labels, Mode: roster.Balanced, Capacity: c.Capacity,
		Only: c.Only, Digest: c.digest, Tasks: len(c.list), Leaving: c.draining, Timeout: roster.Millis(c.Timeout),
		Ghosts: c.ghosts.list(now),
	}
	if c.Greedy {
		a.Mode = roster.Greedy
	}
	var held []*Task
	for _, t := range c.active {
		switch {
		case t.holds():
			held = append(held, t)
			if !t.listed {
				a.Capacity -= t.weight
			}
		case t.occupies():
			a.Capacity -= t.weight
			a.Declined = append(a.Declined, t.hash)
		}
	}
	a.Capacity = max(a.Capacity, 0)
	for i, t := range c.list {
		if t.final && t.failed {
			a.Failed.Set(i)
		} else if t.final {
			a.Done.Set(i)
		}
		if (t.away > now || t.refused > 0) && !t.occupies() {
			a.Declined = append(a.Declined, t.hash)
		}
	}
	slices.SortFunc(held, func(a, b *Task) int { return cmp.Compare(a.hash, b.hash) })
	for _, t := range held {
		a.Held = append(a.Held, t.hash)
		at := roster.Time{}
		if t.state == running || t.state == stopping {
			at = roster.Time{Since: seconds(t.ran), Heard: seconds(t.heard)}
		}
		a.Times = append(a.Times, at)
	}
	slices.Sort(a.Declined)

	return a
}

func seconds(t time.Time) uint32 {
	if t.IsZero() {
		return 0
	}

	return uint32(t.Unix()) //nolint:gosec // until 2106
}

// lasting returns the announcement without what changes all the time.
func lasting(a roster.Announcement) []byte {
	a.Times = nil
	a.Ghosts = slices.Clone(a.Ghosts)
	for i := range a.Ghosts {
		a.Ghosts[i].Left = 0
	}

	return a.Encode()
}

// announce sends the announcement if it has changed.
func (c *Core) announce(now clock.Instant) {
	if !c.seen || c.announcing {
		return
	}
	if c.news && c.newsAt == 0 {
		c.newsAt = now.Add(announceLag)
	}
	heard := c.heardAt != 0 && now >= c.heardAt
	if now < c.announceAt || !heard && (!c.news || now < c.newsAt) {
		return
	}
	c.newsAt = 0
	c.news = false
	a := c.announcement(now)
	text := lasting(a)
	if bytes.Equal(text, c.announced) && !heard {
		return
	}
	c.announced, c.announcing, c.heardAt = text, true, 0
	c.do(Announce{a})
}
