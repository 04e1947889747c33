package lock

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// An Event reports progress. It is a [Waiting], [Acquired], [Danger], [Safe], [Lost], [Released], [Leader], [Retry],
// [NoSession] or [SessionRefused]. Later versions may add kinds.
//
// Each Acquired is followed by either one Lost or one Released, and neither comes without an Acquired. Danger and Safe
// come in turns between them.
type Event interface{ event() }

// Waiting reports that there is a session and that it now waits for the lock. If the wait takes longer than a moment,
// Waiting comes again with what is known about the queue, and whenever that changes, at most once per second.
type Waiting struct {
	Session uint64   // the id of the session
	Name    string   // of the lock that the session waits for now
	Holders []Holder // nil if nothing is known yet
	Ahead   int      // the number of waiters that are ahead in the queue; 0 if nothing is known yet
}

// A Holder is a session that holds a lock.
type Holder struct {
	Session uint64 // the id of the session
	Token   uint64 // the fencing token
	Count   uint64 // how much of the limit it holds; the largest uint64 if it holds an exclusive lock
	Data    []byte // see WithData

	// Lost is 0 unless this process has lost the session. Otherwise it is how much longer the server keeps the session at
	// most. The session ends earlier if the client can end it.
	Lost time.Duration
}

// String returns the data if it is text, and otherwise names the session.
func (h Holder) String() string {
	if len(h.Data) > 0 && utf8.Valid(h.Data) {
		return string(h.Data)
	}

	return fmt.Sprintf("session %d", h.Session)
}

// Acquired reports that the lock is held and that work is about to start.
type Acquired struct {
	Session uint64            // the id of the session
	Token   uint64            // see Held.Token
	Tokens  map[string]uint64 // see Held.Tokens
	Waited  time.Duration     // the time since the call, or since the last loss of the lock
}

// Danger reports that only the grace ([WithGrace]) is left of the time for which the lock is certainly held. The
// context of work has ended.
type Danger struct {
	Remaining time.Duration
	Cause     error // wraps ErrLost
}

// Safe reports that the server has answered since [Danger]. The lock is held until work returns. Its context has ended
// nevertheless.
type Safe struct {
	Remaining time.Duration
}

// Lost reports that the lock is lost. The context of work has ended.
type Lost struct {
	Cause error // wraps ErrLost
}

// Released reports that the lock is released.
type Released struct {
	Err error // why the server may not know of the release, so that waiters have to wait for the session timeout; or nil
}

// Leader reports who leads now. It comes from [Elect] when that changes.
type Leader struct {
	Session uint64 // the id of the leader's session; 0: nobody leads
	Token   uint64 // the leader's fencing token
	Data    []byte // the leader's data
	Self    bool   // this call of Elect leads
}

// Retry reports that an attempt failed and that another one with a new session follows.
type Retry struct {
	Err   error         // why the attempt failed
	After time.Duration // the pause before the next attempt
}

// NoSession reports that there has been no session for 3 seconds or longer, and why: the server cannot be reached, does
// not answer, or refuses. The call keeps trying. The event comes again when the reason changes. It does not replace the
// Retry events, which report every attempt that fails.
type NoSession struct {
	For time.Duration // the time without a session
	Err error         // the reason, and what to do about it
}

// SessionRefused reports that the server has refused for a second to continue the session that waits for the lock or
// holds it, for example because the access token is no longer valid. The call keeps trying until the deadline of the
// session. The event comes again with another reason, and with a nil Err when the server continues the session. The
// client of package tenure is the only one that tells.
type SessionRefused struct {
	Err error // the reason; nil: the server continues the session
}

func (Waiting) event()        {}
func (Acquired) event()       {}
func (Danger) event()         {}
func (Safe) event()           {}
func (Lost) event()           {}
func (Released) event()       {}
func (Leader) event()         {}
func (Retry) event()          {}
func (NoSession) event()      {}
func (SessionRefused) event() {}
