package workers

import "time"

// An Event says how [Run] gets on: it is an [Asking], [Started], [Ended], [Full], [Lost] or [Retry]. More kinds may
// come.
type Event interface{ event() }

// Asking says that a session has been opened, and that now the tasks are asked for.
type Asking struct {
	Session uint64 // id of the session
}

// Started says that the worker has got a task, and that now work is called for it.
type Started struct {
	Task string
}

// Ended says that work has returned for a task, which is now given back.
type Ended struct {
	Task string
	Err  error // what work returned
	Lost bool  // the lease had been lost by then
}

// Full says that the worker has all the tasks that it can have: as many as its capacity, or all there are. It comes
// again when the worker has had fewer in between.
type Full struct {
	Tasks int // how many
}

// Lost says that the session has ended, and that the contexts of all tasks have.
type Lost struct {
	Cause error // wraps ErrLost
}

// Retry says that there will be another attempt with another session.
type Retry struct {
	Err   error         // what was wrong with this one
	After time.Duration // how long Run pauses before the next
}

func (Asking) event()  {}
func (Started) event() {}
func (Ended) event()   {}
func (Full) event()    {}
func (Lost) event()    {}
func (Retry) event()   {}

// retry observes what term.Repeat is about to do.
func (c *config) retry(err error, after time.Duration) { c.observe(Retry{Err: err, After: after}) }
