package pool

import (
	"time"

	"tenure/internal/clock"
	"tenure/internal/roster"
)

// A Spec is an entry of the list of tasks.
type Spec struct {
	Name   string
	Weight int // at least 1
}

// Digest returns the digest of a list of tasks, which is sorted by name (roster.Digest).
func Digest(list []Spec) string {
	return roster.Digest(list, func(s Spec) (string, int) { return s.Name, s.Weight })
}

// A state is what the worker does with a task.
type state uint8

const (
	apart     state = iota // nothing
	asking                 // an acquire of its semaphore waits
	leaving                // the acquire is cancelled and has not returned yet
	waiting                // the worker owns the task, which must not run yet
	running                // the worker owns the task, and its function runs
	stopping               // the same, and the function was told to return
	closing                // the worker owns the task, whose function has returned; its record is being written
	releasing              // a release of its semaphore waits
)

// A Task is a task as this worker sees it. The fields that are not exported belong to the core.
type Task struct {
	Name string

	weight int
	hash   roster.Hash
	listed bool // it is in the list; otherwise it is forgotten as soon as it is apart
	index  int  // in the list

	active  bool // it is in the core's list of tasks that are not apart
	adopted bool // it was asked for although the target does not give it to this worker
	state   state
	epoch   int           // the number of the session in which it was asked for
	stale   bool          // the session of the state is over; only for stopping, closing and releasing
	since   clock.Instant // when the state began
	writing bool          // its record is being written
	why     Reason        // of stopping
	gone    clock.Instant // when it was moved to another worker
	due     clock.Instant // of waiting: when it may run
	nextSay clock.Instant // of stopping and asking: when to report that it takes long

	record  roster.Record // as far as it is known
	ran     time.Time     // when its function was called
	heard   time.Time     // when it was heard from last
	fails   int           // failures in a row under this worker
	refused int           // refusals in a row
	away    clock.Instant // until then, the worker does not ask for the task; 0: it may
	final   bool          // it is not run again
	failed  bool          // it is final because it failed too often

	mine    bool          // the target gives it to this worker
	to      string        // the worker to which the target gives it; empty: none
	owned   bool          // by another worker, or kept for one, according to the announcements
	holder  string        // the other worker that owns it according to the announcements; empty: none
	earlier bool          // the owner is a session that its worker has lost
	free    clock.Instant // since when it could be asked for; 0: it cannot
	idle    clock.Instant // since when no worker owns it; 0: one does
}

// Weight returns the weight of the task.
func (t *Task) Weight() int { return t.weight }

// Failures returns how often the task has failed in a row, in the whole pool.
func (t *Task) Failures() int { return t.record.Failures }

// holds reports whether the worker owns the task's semaphore in its present session.
func (t *Task) holds() bool { return t.state >= waiting && !t.stale }

// occupies reports whether the task takes up capacity: it is owned, or its function still runs.
func (t *Task) occupies() bool { return t.state >= waiting && (!t.stale || t.state == stopping) }

func (t *Task) enter(s state, now clock.Instant) { t.state, t.since, t.nextSay = s, now, 0 }

// A Reason says why a task is told to stop.
type Reason uint8

// Reasons.
const (
	Lost    Reason = iota // its session is over
	Moved                 // it belongs to another worker
	Removed               // it is no longer in the list
	Drained               // the worker leaves
)

// A Result is how a task's function has returned.
type Result struct {
	Err  error
	Told bool // whether the context of the function had ended before
	// Interrupted means that the function has returned because the lease was in danger. It has not failed, and the worker
	// asks for the task again.
	Interrupted bool

	Held bool          // whether the task was owned until then
	Ran  time.Duration // for how long
}
