package pool

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"tenure/internal/clock"
	"tenure/internal/roster"
)

// advance carries out what the plan and the time ask for.
func (c *Core) advance(now clock.Instant) {
	full := c.load() >= c.Capacity
	for _, t := range c.active {
		c.advanceTask(now, t, full)
	}
	if !c.seen || c.draining {
		return
	}
	c.shed(now)
	if now >= c.changed.Add(c.Settle) {
		c.giveBack(now)
	}
	if now >= c.calm {
		c.ask(now)
	}
}

func (c *Core) advanceTask(now clock.Instant, t *Task, full bool) {
	unwanted := c.draining || !t.listed || t.final
	switch {
	case t.state == asking && (!c.opened || unwanted || !c.wanted(t, full)):
		c.enter(t, leaving, now)
		c.do(Leave{t})
	case t.state == asking && (!t.owned || t.earlier) && now >= t.since.Add(peekAfter) && now >= t.nextSay:
		t.nextSay = now.Add(stuckAgain)
		c.do(Peek{t})
	case t.state == waiting && (unwanted || t.away > now):
		c.enter(t, closing, now)
		c.settle(now, t)
	case t.state == waiting && now >= t.due && !t.writing:
		c.enter(t, running, now)
		c.do(Start{t})
	case t.state == running && unwanted:
		why := Removed
		if c.draining {
			why = Drained
		}
		c.stop(now, t, why)
	case t.state == stopping && now >= t.since.Add(stuckAfter) && now >= t.nextSay:
		t.nextSay = now.Add(stuckAgain)
		c.tell(Stuck{t.Name, now.Sub(t.since)})
	}
}

func (c *Core) stop(now clock.Instant, t *Task, why Reason) {
	c.enter(t, stopping, now)
	t.why = why
	c.do(Stop{t, why, t.to})
}

// giveBack gives tasks back that belong to other workers.
func (c *Core) giveBack(now clock.Instant) {
	if c.Greedy {
		return
	}
	moving := len(c.gone)
	for _, t := range c.active {
		if t.why == Moved && t.holds() && t.state >= stopping {
			moving++
		}
	}
	for _, t := range c.active {
		if moving >= c.Moves {
			return
		}
		if t.state != waiting && t.state != running || t.mine || t.to == "" || t.stale {
			continue
		}
		moving++
		c.move(now, t)
	}
}

// arrive forgets the tasks that were moved away and have arrived. Until then, they count as on the move: a worker that
// gave back more before it has seen the effect would act on old announcements, as all the others do, and tasks would
// move back and forth.
func (c *Core) arrive(now clock.Instant) {
	c.gone = slices.DeleteFunc(c.gone, func(t *Task) bool {
		return t.owned || t.active || !t.listed || now >= t.gone.Add(goneLimit)
	})
}

// move gives a task back that belongs to another worker.
func (c *Core) move(now clock.Instant, t *Task) {
	if t.state == running {
		c.stop(now, t, Moved)

		return
	}
	t.why = Moved
	c.enter(t, closing, now)
	c.settle(now, t)
}

// shed gives tasks back that do not fit any more because weights have grown: first those of others, then the last ones.
func (c *Core) shed(now clock.Instant) {
	excess := c.load() - c.Capacity
	if excess <= 0 {
		return
	}
	var keep []*Task
	for _, t := range c.active {
		if t.holds() && (t.state > running || !t.listed) {
			excess -= t.weight // it is on its way out
		} else if t.holds() {
			keep = append(keep, t)
		}
	}
	slices.SortFunc(keep, func(a, b *Task) int {
		if a.mine != b.mine {
			if a.mine {
				return 1
			}

			return -1
		}

		return cmp.Compare(b.index, a.index)
	})
	for _, t := range keep {
		if excess <= 0 {
			return
		}
		excess -= t.weight
		c.move(now, t)
	}
}

// wanted reports whether the worker still wants a task that it asks for.
func (c *Core) wanted(t *Task, full bool) bool {
	if !c.seen {
		return true
	}
	if c.Greedy {
		return !t.owned && !full
	}

	return t.mine || t.adopted && !t.owned
}

// ask asks for tasks as long as there is room.
func (c *Core) ask(now clock.Instant) {
	room, expected := c.Capacity-c.load(), 0
	for _, t := range c.active {
		if c.expects(now, t) {
			room -= t.weight
			expected++
		}
	}
	for _, t := range c.wants {
		if room <= 0 || c.Greedy && expected >= greedyAsks {
			return
		}
		if t.state != apart || !t.listed || t.final || t.away > now || t.weight > room {
			continue
		}
		room -= t.weight
		expected++
		t.adopted = !t.mine && !c.Greedy
		if t.adopted {
			c.tell(Adopted{t.Name, t.to})
		}
		t.why, t.epoch = Lost, c.epoch
		c.enter(t, asking, now)
		c.do(Ask{t})
	}
}

// expects reports whether an acquire of the task may return a lease. A cancelled one may have been granted before.
func (c *Core) expects(now clock.Instant, t *Task) bool {
	switch t.state {
	case leaving:
		return t.epoch == c.epoch
	case asking:
		return !c.Greedy || now < c.stalled(t)
	default:
		return false
	}
}

// fresh returns how long a greedy worker expects a free task to be granted.
func (c *Core) fresh() time.Duration { return min(max(3*c.slow, minFresh), maxFresh) }

// stalled returns when a greedy worker stops expecting that an acquire is granted, and asks for another task instead.
// As long as grants arrive, the server is busy, and the acquire only waits for its turn.
func (c *Core) stalled(t *Task) clock.Instant { return max(t.since, c.granted).Add(c.fresh()) }

// measureAsk notes how long a grant took.
func (c *Core) measureAsk(now clock.Instant, t *Task) {
	c.granted = now
	if took := now.Sub(t.since); t.state == asking && took < 2*c.fresh() { // longer ones had to wait for another owner
		c.slow = max(took, c.slow*7/8)
	}
}

// Ended reports that a task's function has returned.
func (c *Core) Ended(now clock.Instant, t *Task, r Result) {
	told := t.state == stopping && r.Told || r.Interrupted
	if t.stale || !r.Held {
		t.stale = true
		c.enter(t, closing, now)
		c.settle(now, t)
		c.next(now)

		return
	}
	if r.Ran >= c.MaxBackoff {
		t.record.Failures, t.fails = 0, 0
	}
	c.enter(t, closing, now)
	switch {
	case told && t.record.Failures == 0 && t.record.Pause != 0: // it has recovered
		t.record.Pause = 0
		c.write(t)
	case told:
	case c.Once && r.Err == nil:
		t.record = roster.Record{Done: true}
		c.write(t)
	default:
		c.fail(now, t, r.Err)
	}
	if t.state == closing {
		c.settle(now, t)
	}
	c.next(now)
}

// fail handles a function that has returned although it was not told to.
func (c *Core) fail(now clock.Instant, t *Task, err error) {
	t.record.Failures++
	pause := c.pause(t)
	t.record.Pause = roster.Millis(pause)
	t.record.Reason = ""
	if err != nil {
		t.fails++
		t.record.Reason = err.Error()
	} else {
		t.fails = 0
	}
	e := Failed{Task: t.Name, Err: err, Failures: t.record.Failures, After: pause}
	switch {
	case c.Once && t.record.Failures > c.Retries:
		t.record.Failed = true
		e.Final, e.After = true, 0
	case c.GiveUp > 0 && t.fails >= c.GiveUp && len(c.members) > 0:
		t.fails = 0
		t.away = now.Add(c.MaxBackoff)
		e.GaveUp = true
	default:
		c.enter(t, waiting, now)
		t.due = now.Add(pause)
	}
	c.tell(e)
	c.write(t)
}

func (c *Core) write(t *Task) {
	t.writing = true
	c.do(Write{t, t.record})
}

// pause returns the pause after the newest failure. It doubles with each failure, and is random within a fifth, so that
// tasks that failed together do not start together. The same failure of the same task always has the same pause.
func (c *Core) pause(t *Task) time.Duration {
	d := grow(c.Backoff, c.MaxBackoff, t.record.Failures-1)
	h := fnv.New64a()
	fmt.Fprint(h, t.Name, t.record.Failures)

	return d - d/5 + d*2/5*time.Duration(h.Sum64()>>33&0xffff)/0x10000
}

// grow returns a duration that doubles with each step, up to a limit.
func grow(first, limit time.Duration, steps int) time.Duration {
	d := first
	for ; steps > 0 && d < limit; steps-- {
		d *= 2
	}

	return min(d, limit)
}
