package workers

import "time"

// An Event reports [Run]'s progress. Its concrete type is one of the types below. Later versions may add types.
type Event interface{ event() }

// Asking reports that Run has opened a session and joins the pool.
type Asking struct {
	Session uint64 // the id of the session
}

// Started reports that the worker owns a task and is about to call its function.
type Started struct {
	Task  string
	Token uint64 // the fencing token of this run
}

// Ended reports that the function of a task has returned.
type Ended struct {
	Task string
	Err  error // what the function returned, a *PanicError, or ErrGoexit
	Lost bool  // whether the lease was lost before the function returned
	Told bool  // whether the context of the function had ended before
}

// Failed reports that the function of a task has returned without being told to. The worker runs it again after a
// pause, unless it has given the task up.
type Failed struct {
	Task     string
	Err      error         // nil: it has returned without an error
	Failures int           // in a row, in the whole pool
	After    time.Duration // the pause until the next run, in this or another worker
	GaveUp   bool          // the worker leaves the task to others for a while (WithGiveUp)
	Final    bool          // the task is not run again (WithOnce)
}

// Done reports that no worker runs a task again ([WithOnce]): it is done, or it has failed for good in another worker.
type Done struct {
	Task   string
	Here   bool // whether it was done in this worker
	Failed bool // whether it has failed for good. Failed reports that of a task of this worker
}

// Stuck reports that a function has not returned although its context has ended. The task keeps its share of the
// worker's capacity. The event comes after one second, and then every ten.
type Stuck struct {
	Task string
	For  time.Duration // since its context has ended
}

// Refused reports that the server refuses a task, for example because a persistent semaphore has its name. The other
// tasks are not affected. The worker leaves the task to others, and asks again after a pause.
type Refused struct {
	Task  string
	Err   error
	After time.Duration
}

// Blocked reports that the worker waits for a task that no worker of the pool owns, and who owns it: a session that is
// not a worker, or one that this worker has lost. The event comes after one second, and then every ten.
type Blocked struct {
	Task    string
	Holders []Holder
}

// A Holder is an owner of a task's semaphore.
type Holder struct {
	Session uint64
	Token   uint64
	Data    []byte // by default a line of text that describes the process

	// Lost is 0 unless this process has lost the session. Otherwise it is how much longer the server keeps the session at
	// most. Run ends the session earlier if it can.
	Lost time.Duration
}

// Full reports that the worker owns as many tasks as it can: its capacity is reached, or it owns all tasks. The event
// comes again after the worker has owned fewer in between.
type Full struct {
	Tasks int // how many tasks the worker owns
	Of    int // how many tasks there are
}

// Moving reports that the worker gives a task back, because another worker has more room for it.
type Moving struct {
	Task string
	To   string // the name of the other worker
}

// Adopted reports that the worker asks for a task that another worker should have taken long ago.
type Adopted struct {
	Task string
	From string // the name of the other worker; empty: none had room
}

// GivenBack reports that the worker was granted a task that it no longer wants, and releases it without running it.
type GivenBack struct {
	Task string
}

// Unassigned lists the tasks that no worker of the pool owns. The event comes when a task has been free for a second,
// and again when the list changes. An empty list means that every task has an owner.
type Unassigned struct {
	Tasks []string
	Of    int // how many tasks there are
}

// Mismatch lists the workers whose list of tasks differs from that of this worker for longer than [WithSettle] allows.
// An empty list means that they are equal again.
type Mismatch struct {
	Workers []string
}

// Members lists the names of all workers of the pool, including this one, whenever they change.
type Members struct {
	Workers []string
}

// Draining reports that the worker gives all of its tasks back, and why.
type Draining struct {
	Cause error
}

// Lost reports that the session has ended, and with it the contexts of all tasks.
type Lost struct {
	Cause error // wraps ErrLost
}

// Retry reports that an attempt failed and that Run will try again with a new session.
type Retry struct {
	Err   error         // why the attempt failed
	After time.Duration // the pause before the next attempt
}

// NoSession reports that Run has been without a session for 3 seconds or longer, and why: the server cannot be reached,
// does not answer, or refuses. Run keeps trying. The event comes again when the reason changes. It does not replace the
// Retry events, which report every attempt that fails.
type NoSession struct {
	For time.Duration // the time without a session
	Err error         // the reason, and what to do about it
}

// SessionRefused reports that the server has refused for a second to continue the session, for example because the
// access token is no longer valid. Run keeps trying until the deadline of the session. The event comes again with
// another reason, and with a nil Err when the server continues the session. The client of package tenure is the only
// one that tells.
type SessionRefused struct {
	Err error // the reason; nil: the server continues the session
}

func (Asking) event()     {}
func (Started) event()    {}
func (Ended) event()      {}
func (Failed) event()     {}
func (Done) event()       {}
func (Stuck) event()      {}
func (Refused) event()    {}
func (Blocked) event()    {}
func (Full) event()       {}
func (Moving) event()     {}
func (Adopted) event()    {}
func (GivenBack) event()  {}
func (Unassigned) event() {}
func (Mismatch) event()   {}
func (Members) event()    {}
func (Draining) event()   {}
func (Lost) event()       {}
func (Retry) event()      {}
func (NoSession) event()  {}

func (SessionRefused) event() {}
