// Package pool decides what one worker of a pool does: which tasks it asks for, runs and gives back, and what it tells
// the others. It is a pure state machine: package workers is its shell.
//
// # How it decides
//
// Each worker announces itself in the membership semaphore of the pool (package roster): its capacity, a digest of its
// list of tasks, and the tasks that it owns. Each worker computes the same target from these announcements (package
// assign). It asks for the tasks that the target gives to it, and gives those back that the target gives to others. No
// worker leads. The semaphores of the tasks decide who owns a task, so two workers that see different announcements for
// a moment only cause an acquire that waits in vain.
//
// A greedy worker asks for free tasks until it is full, and gives none back. The target of the others leaves its tasks
// to it.
package pool

import (
	"time"

	"tenure/internal/clock"
	"tenure/internal/roster"
)

// Config holds the settings of a worker. All fields are required, except Labels, Only and the flags.
type Config struct {
	Worker string // its name, unique in the pool
	Named  bool   // the name is stable: its place is kept for a timeout when it leaves
	Who    string // describes the process to people
	Labels map[string]string

	Greedy   bool
	Capacity int    // the sum of the weights of the tasks that it takes
	Only     string // a pattern of path.Match; empty: all tasks

	Timeout time.Duration // of the session
	Settle  time.Duration // how long the pool must not have changed before tasks move
	Moves   int           // how many tasks move at the same time

	Backoff, MaxBackoff time.Duration // the first and the longest pause after a failure
	GiveUp              int           // failures in a row after which a task is left to others; 0: never

	Once    bool // a task that succeeds is done, and not run again
	Retries int  // with Once: how often a task that fails is run again
}

// Times of the core.
const (
	calmPause     = 20 * time.Millisecond  // without new members, before the worker asks for tasks
	calmPer       = 2 * time.Millisecond   // more for each member
	maxCalm       = time.Second            // in total, if one after the other joins
	goneLimit     = time.Second            // how long a task that was moved away may take to be announced by another
	tookPause     = 300 * time.Millisecond // until the target takes note of tasks that others have taken
	planPause     = 10 * time.Millisecond  // between two targets
	planPer       = 5 * time.Microsecond   // more for each task
	announceLag   = 2 * time.Millisecond   // until news is announced, so that more can come with it
	announcePause = 5 * time.Millisecond   // between two announcements
	announcePer   = 2 * time.Millisecond   // more for each other worker, because all of them read it
	failPause     = time.Second            // after one that failed
	heardPause    = 10 * time.Second       // until others learn when a task was started again, or heard from
	heardPer      = time.Second            // the same for each other worker, if that is longer
	minFresh      = 250 * time.Millisecond // how long a greedy worker expects a free task to be granted, at least
	firstFresh    = time.Second            // the same before it has been granted any
	maxFresh      = 5 * time.Second
	stuckAfter    = time.Second // after which a task that was told to stop is reported
	stuckAgain    = 10 * time.Second
	unassigned    = time.Second            // how long nobody owns a task before that is reported
	reportPause   = 500 * time.Millisecond // between two such reports
	peekAfter     = time.Second            // after which an acquire of a free task is looked into
	firstRefusal  = 5 * time.Second        // the pause after a refusal; it doubles up to maxRefusal
	maxRefusal    = time.Minute
	// greedyAsks is how many grants a greedy worker expects at a time. Greedy workers do not agree on who asks for what,
	// so each looks again at what is free after a few grants.
	greedyAsks = 64

	adoptAfter = 2 // timeouts that a task is free before any worker takes it
)

// A Core is the state machine of a worker. The caller reports events, and carries out the steps that Take returns. It
// calls Tick when Wake is due. A Core uses no goroutine, clock or I/O, and is not safe for concurrent use.
//
// W1 The weights of the tasks that the worker owns, asks for, and still runs without owning them are at most Capacity,
// unless a weight grows. In greedy mode, acquires that nobody answers do not count.
// W2 The worker does not ask for a task before its last acquire has returned and its last lease is released, because
// requests for one semaphore override each other (Q6, Q7).
// W3 The worker asks for nothing before it has announced itself and has seen the announcements.
// W4 The record of a task is written before the task is released.
type Core struct {
	Config

	tasks  map[string]*Task
	hashes map[roster.Hash]*Task // of those in the list
	list   []*Task               // by name
	active []*Task               // those that are not apart
	digest string

	opened   bool
	seen     bool // the announcements were seen in this session
	draining bool
	epoch    int // the number of the session
	session  uint64

	members []roster.Member // the others
	ghosts  ghosts
	shape   string        // of the pool
	changed clock.Instant // when the shape changed
	burst   clock.Instant // when the newest burst of new members began
	calm    clock.Instant // when it ends, unless more join

	dirty   bool          // the target may change
	news    bool          // the announcement may change
	dirtied clock.Instant // since when; 0: it is not
	replan  clock.Instant
	notYet  clock.Instant // no new target before this
	stale   clock.Instant // a new target then, because other workers have taken tasks; 0: they have not
	buffer  phase         // of the last plan
	wants   []*Task       // those to ask for
	slow    time.Duration // how long the slowest of the newest grants took
	granted clock.Instant // the newest grant; 0: none
	gone    []*Task       // that were moved to others, which have not announced them
	nobody  []*Task       // those that no other worker owned

	announced  []byte // the newest announcement that was sent
	announcing bool
	newsAt     clock.Instant // when to announce the news; 0: there was none at the last input
	announceAt clock.Instant
	heardAt    clock.Instant // when to announce that tasks were heard from; 0: none was

	reports reports
	steps   []Step
	wake    clock.Instant
}

// New returns the core of a worker without tasks.
func New(c Config) *Core {
	return &Core{Config: c, tasks: map[string]*Task{}, ghosts: ghosts{}, slow: firstFresh / 3}
}

// Take removes and returns the steps.
func (c *Core) Take() []Step {
	steps := c.steps
	c.steps = nil

	return steps
}

// Wake returns when Tick is due, or 0 for never.
func (c *Core) Wake() clock.Instant { return c.wake }

// Still reports whether nothing is left to do for the present and earlier sessions, except functions that still run
// although the worker has lost their tasks.
func (c *Core) Still() bool {
	for _, t := range c.active {
		if t.state != apart && (!t.stale || t.state != stopping) {
			return false
		}
	}

	return !c.announcing
}

// Running returns the tasks whose functions run.
func (c *Core) Running() []*Task {
	var all []*Task
	for _, t := range c.active {
		if t.state == running || t.state == stopping {
			all = append(all, t)
		}
	}

	return all
}

// Finished reports whether no task will run again in this pool, and which have failed for good. It is only ever true
// with Once.
func (c *Core) Finished() (failed []string, finished bool) {
	if !c.Once || len(c.list) == 0 {
		return nil, false
	}
	for _, t := range c.list {
		if !t.final {
			return nil, false
		}
		if t.failed {
			failed = append(failed, t.Name)
		}
	}

	return failed, true
}

// Hopeless returns the error of a refusal if the server refuses every task.
func (c *Core) Hopeless() error {
	if len(c.list) == 0 {
		return nil
	}
	for _, t := range c.list {
		if t.refused == 0 {
			return nil
		}
	}

	return c.reports.refusal
}

// SetTasks replaces the list of tasks, which is sorted by name and names no task twice. Tasks that are no longer in it
// stop.
func (c *Core) SetTasks(now clock.Instant, specs []Spec) {
	for _, t := range c.list {
		t.listed = false
	}
	c.list = make([]*Task, 0, len(specs))
	c.hashes = make(map[roster.Hash]*Task, len(specs))
	if len(c.tasks) == 0 {
		c.tasks = make(map[string]*Task, len(specs))
	}
	for i, spec := range specs {
		t := c.tasks[spec.Name]
		if t == nil {
			t = &Task{Name: spec.Name, hash: roster.HashOf(spec.Name)}
			c.tasks[spec.Name] = t
		}
		t.weight, t.listed, t.index = spec.Weight, true, i
		c.list = append(c.list, t)
		c.hashes[t.hash] = t
	}
	for name, t := range c.tasks {
		if !t.listed && t.state == apart {
			delete(c.tasks, name)
		}
	}
	c.digest = Digest(specs)
	c.dirty, c.news, c.reports.differs = true, true, true
	c.next(now)
}

// Open begins a session. It returns the announcement with which the shell acquires a share of the membership semaphore,
// before it calls View.
func (c *Core) Open(now clock.Instant, session uint64) roster.Announcement {
	c.opened, c.seen, c.dirty, c.announcing, c.news = true, false, true, false, true
	c.epoch++
	c.session = session
	c.members, c.calm = nil, 0
	a := c.announcement(now)
	c.announced = lasting(a)
	c.next(now)

	return a
}

// View reports the workers of the pool. Members that have left since the last view are missing.
func (c *Core) View(now clock.Instant, members []roster.Member) {
	if !c.opened {
		return
	}
	c.meet(now, members)
	c.seen = true
	c.next(now)
}

// Shut reports that the session is over. The contexts of all tasks have ended.
func (c *Core) Shut(now clock.Instant) {
	c.opened, c.seen, c.announcing, c.dirty, c.news = false, false, false, true, true
	for _, t := range c.active {
		switch t.state {
		case apart, leaving:
		case asking:
			c.enter(t, leaving, now)
			c.do(Leave{t})
		case waiting:
			t.stale = true
			c.enter(t, closing, now)
			c.settle(now, t)
		case running:
			c.enter(t, stopping, now)
			t.why, t.stale = Lost, true
		case stopping, closing, releasing:
			t.stale = true
		}
	}
	c.next(now)
}

// Drain makes the worker give all of its tasks back and take no others.
func (c *Core) Drain(now clock.Instant) {
	c.draining, c.dirty, c.news = true, true, true
	c.next(now)
}

// Granted reports that an acquire has returned a lease, possibly after it was cancelled. The record is that of the
// task, which must wait before its function is called.
func (c *Core) Granted(now clock.Instant, t *Task, record roster.Record, wait time.Duration) {
	t.stale = !c.opened || t.epoch != c.epoch
	c.measureAsk(now, t)
	fits := c.load()+t.weight <= c.Capacity
	wanted := !t.stale && !c.draining && t.listed && fits && c.accepts(now, t) // the target may have changed: it adapts
	t.record, t.refused = record, 0
	c.enter(t, waiting, now)
	t.due = now.Add(wait)
	switch {
	case c.Once && record.Final():
		c.finish(t, record.Failed, false)
	case t.stale:
	case !wanted:
		c.tell(GivenBack{t.Name})
	default:
		t.free, t.idle, c.reports.idles = 0, 0, true
		c.dirty = c.dirty || !t.mine // the target has room for one that is
		c.next(now)

		return
	}
	c.enter(t, closing, now)
	c.settle(now, t)
	c.next(now)
}

// Missed reports that an acquire has returned without a lease. The err is nil if the acquire was cancelled or may be
// repeated immediately. If it is refused, the worker leaves the task to others for a while.
func (c *Core) Missed(now clock.Instant, t *Task, refusal error) {
	if refusal != nil && c.opened {
		pause := grow(firstRefusal, maxRefusal, t.refused)
		t.refused++
		t.away = now.Add(pause)
		c.reports.refusal = refusal
		c.tell(Refused{t.Name, refusal, pause})
		c.dirty, c.news = true, true
	}
	c.leave(t, now)
	c.next(now)
}

// Announced reports that an announcement was sent, or with an error that it was not. The epoch is that of the Open
// before it.
func (c *Core) Announced(now clock.Instant, epoch int, err error) {
	if epoch == c.epoch && c.opened {
		c.announcing = false
		if err != nil {
			c.announced, c.news = nil, true
			c.announceAt = now.Add(failPause)
		}
		c.announceAt = now.Add(announcePause + announcePer*time.Duration(len(c.members)))
	}
	c.next(now)
}

// Started notes when a task's function is called.
func (c *Core) Started(now clock.Instant, t *Task, date time.Time) {
	t.ran, t.heard = date, time.Time{}
	c.mention(now)
}

// Heard reports that a task was heard from.
func (c *Core) Heard(now clock.Instant, t *Task, date time.Time) {
	t.heard = date
	c.mention(now)
	c.setWake(now)
}

// mention makes the times of tasks known, not too often: all workers read each announcement, but only people need the
// times.
func (c *Core) mention(now clock.Instant) {
	if c.heardAt == 0 {
		c.heardAt = now.Add(max(heardPause, heardPer*time.Duration(len(c.members))))
	}
}

// Epoch returns the number of the session.
func (c *Core) Epoch() int { return c.epoch }

// Written reports that the record of a task was written. The err means that this failed, and that the session is over
// or will soon be.
func (c *Core) Written(now clock.Instant, t *Task, err error) {
	t.writing = false
	if err == nil && c.Once && t.record.Final() {
		c.finish(t, t.record.Failed, true)
	}
	if t.state == closing {
		c.settle(now, t)
	}
	c.next(now)
}

// Released reports that a task is released.
func (c *Core) Released(now clock.Instant, t *Task) {
	if t.why == Moved && !t.stale {
		t.gone = now
		c.gone = append(c.gone, t)
	}
	c.leave(t, now)
	c.next(now)
}

// Tick reports the time.
func (c *Core) Tick(now clock.Instant) { c.next(now) }
