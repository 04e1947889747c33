package pool

import (
	"time"

	"tenure/internal/roster"
)

// A Step is something that the shell must do. Its concrete type is one of the types below. The shell carries steps out
// in their order, none of which blocks it.
type Step interface{ step() }

type (
	// Announce means: replace the data of the worker's share of the membership semaphore, and call Announced.
	Announce struct{ Announcement roster.Announcement }

	// Ask means: acquire the task's semaphore; call Granted or Missed.
	Ask struct{ Task *Task }

	// Leave means: cancel the acquire, which still reports.
	Leave struct{ Task *Task }

	// Peek means: find out who owns the semaphore that the worker waits for, and report that.
	Peek struct{ Task *Task }

	// Start means: call the task's function; call Ended.
	Start struct{ Task *Task }

	// Stop means: end the context of the task's function.
	Stop struct {
		Task *Task
		Why  Reason
		To   string // of Moved: the other worker
	}

	// Write means: write the task's record; call Written.
	Write struct {
		Task   *Task
		Record roster.Record
	}

	// Release means: release the task's semaphore; call Released.
	Release struct{ Task *Task }

	// Tell means: report an event.
	Tell struct{ Event Event }
)

func (Announce) step() {}
func (Ask) step()      {}
func (Leave) step()    {}
func (Peek) step()     {}
func (Start) step()    {}
func (Stop) step()     {}
func (Write) step()    {}
func (Release) step()  {}
func (Tell) step()     {}

// An Event is something that people want to know. Its concrete type is one of the types below.
type Event interface{ event() }

type (
	// Full means that the worker owns as many tasks as it can.
	Full struct{ Tasks, Of int }

	// Stuck means that a task's function has not returned since it was told to.
	Stuck struct {
		Task string
		For  time.Duration
	}

	// Refused means that the server refuses an acquire of the task.
	Refused struct {
		Task  string
		Err   error
		After time.Duration // until the next attempt
	}

	// Failed means that a task's function has returned although it was not told to.
	Failed struct {
		Task     string
		Err      error // nil: it has returned without an error
		Failures int   // in a row, in the whole pool
		After    time.Duration
		GaveUp   bool // the worker leaves the task to others for a while
		Final    bool // the task is not run again
	}

	// Done means that a task is done, in this or another worker.
	Done struct {
		Task   string
		Here   bool
		Failed bool // it has failed for good, in another worker
	}

	// Unassigned lists the tasks that no worker owns.
	Unassigned struct {
		Tasks []string
		Of    int
	}

	// Mismatch lists the workers whose list of tasks differs from that of this worker.
	Mismatch struct{ Workers []string }

	// Members lists the workers of the pool, whenever their set changes.
	Members struct{ Workers []string }

	// Adopted means that the worker takes a task of another worker, which did not take it in time.
	Adopted struct{ Task, From string }

	// GivenBack means that the worker releases a task that it was granted without running it.
	GivenBack struct{ Task string }
)

func (Full) event()       {}
func (Stuck) event()      {}
func (Refused) event()    {}
func (Failed) event()     {}
func (Done) event()       {}
func (Unassigned) event() {}
func (Mismatch) event()   {}
func (Members) event()    {}
func (Adopted) event()    {}
func (GivenBack) event()  {}
