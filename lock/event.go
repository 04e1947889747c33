package lock

import "time"

// An Event says how [Run] gets on: it is a [Waiting], [Acquired], [Lost], [Released] or [Retry]. More kinds may come.
type Event interface{ event() }

// Waiting says that a session has been opened, and now the lock is asked for.
type Waiting struct {
	Session uint64 // id of the session
}

// Acquired says that the lock is held, and now work is called.
type Acquired struct {
	Session uint64 // id of the session
}

// Lost says that the lock is not held any more, or counts as lost by [WithGrace], and the context of work has ended.
type Lost struct {
	Cause error // wraps ErrLost
}

// Released says that the lock was given back.
type Released struct {
	Err error // nil, or why it is not certain that the server knows: the others then wait for the session's timeout
}

// Retry says that there will be another attempt with another session.
type Retry struct {
	Err   error         // what was wrong with this one
	After time.Duration // how long Run pauses before the next
}

func (Waiting) event()  {}
func (Acquired) event() {}
func (Lost) event()     {}
func (Released) event() {}
func (Retry) event()    {}

// retry observes what term.Repeat is about to do.
func (c *config) retry(err error, after time.Duration) { c.observe(Retry{Err: err, After: after}) }
