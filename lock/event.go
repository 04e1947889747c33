package lock

import "time"

// An Event reports [Run]'s progress. It is a [Waiting], [Acquired], [Lost], [Released], [Retry] or [NoSession]. Later
// versions may add kinds.
type Event interface{ event() }

// Waiting reports that Run has opened a session and now waits for the lock.
type Waiting struct {
	Session uint64 // the id of the session
}

// Acquired reports that Run holds the lock and is about to call work.
type Acquired struct {
	Session uint64 // the id of the session
}

// Lost reports that the lock is lost, or is in danger and counts as lost because of [WithGrace]. The context of work
// has ended.
type Lost struct {
	Cause error // wraps ErrLost
}

// Released reports that Run has released the lock.
type Released struct {
	Err error // why the server may not know of the release, so that waiters have to wait for the session timeout; or nil
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

func (Waiting) event()   {}
func (Acquired) event()  {}
func (Lost) event()      {}
func (Released) event()  {}
func (Retry) event()     {}
func (NoSession) event() {}

// retry and noSession report what the term.Opener does.

func (c *config) retry(err error, after time.Duration) { c.observe(Retry{Err: err, After: after}) }

func (c *config) noSession(without time.Duration, why error) {
	c.observe(NoSession{For: without, Err: why})
}
