package workers

import "time"

// An Event reports [Run]'s progress. It is an [Asking], [Started], [Ended], [Full], [Lost], [Retry] or [NoSession].
// Later versions may add kinds.
type Event interface{ event() }

// Asking reports that Run has opened a session and now waits for tasks.
type Asking struct {
	Session uint64 // the id of the session
}

// Started reports that the worker owns a task and is about to call work for it.
type Started struct {
	Task string
}

// Ended reports that work has returned for a task, which the worker now releases.
type Ended struct {
	Task string
	Err  error // what work returned
	Lost bool  // whether the lease was lost before work returned
}

// Full reports that the worker owns as many tasks as it can: its capacity is reached, or it owns all tasks. The event
// comes again after the worker has owned fewer in between.
type Full struct {
	Tasks int // how many tasks the worker owns
	Of    int // how many tasks there are
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

func (Asking) event()    {}
func (Started) event()   {}
func (Ended) event()     {}
func (Full) event()      {}
func (Lost) event()      {}
func (Retry) event()     {}
func (NoSession) event() {}

// retry and noSession report what the term.Opener does.

func (c *config) retry(err error, after time.Duration) { c.observe(Retry{Err: err, After: after}) }

func (c *config) noSession(without time.Duration, why error) {
	c.observe(NoSession{For: without, Err: why})
}
