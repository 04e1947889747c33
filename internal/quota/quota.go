// Package quota limits what each user of a server may use, and what all of them may use together: streams and sessions
// at the same time, and requests and new sessions in a second. It reads no clock.
package quota

import (
	"sync"

	"tenure/internal/clock"
)

// Limits are what may be used. 0 means no limit. A rate needs a burst.
type Limits struct {
	Streams, Sessions int     // at the same time
	Rate, Attaches    float64 // requests and new sessions a second
	RateBurst         int     // requests at the same time
	AttachBurst       int     // new sessions at the same time
}

// A Limit names the limit that was reached, as in the metric. The zero value means that none was.
type Limit string

// The limits of a user. Those of all users together have names without the prefix.
const (
	UserStreams  Limit = "user_streams"
	UserSessions Limit = "user_sessions"
	UserRate     Limit = "user_rate"
	UserAttaches Limit = "user_attaches"
	Sessions     Limit = "sessions"
	Rate         Limit = "request_rate"
	Attaches     Limit = "attach_rate"
)

// A Server knows what is used. Its methods are safe for concurrent use.
type Server struct {
	all Use

	mu     sync.Mutex // guards the rest
	limits func(user string) Limits
	users  map[string]*Use
}

// New returns a Server with the limits of all users together and those of each user. The limit of streams is not
// looked at, because the server counts all streams before it knows their users.
func New(now clock.Instant, all Limits, of func(user string) Limits) *Server {
	s := &Server{limits: of, users: make(map[string]*Use)}
	s.all.set(now, all)

	return s
}

// User returns what the user with the name uses. All callers without a name share the limits of the server only.
func (s *Server) User(now clock.Instant, name string) *Use {
	if name == "" {
		return &s.all
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[name]
	if u == nil {
		u = &Use{all: &s.all}
		u.set(now, s.limits(name))
		s.users[name] = u
	}

	return u
}

// Change sets the limits of all users again. What they have used so far still counts.
func (s *Server) Change(now clock.Instant, of func(user string) Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = of
	for name, u := range s.users {
		u.set(now, of(name))
	}
}

// Use is what one user uses, or all of them together. Its methods are safe for concurrent use.
type Use struct {
	all *Use // nil: this is it

	mu       sync.Mutex // guards the rest. The mutex of all is locked after it.
	limits   Limits
	streams  int
	sessions int
	requests Bucket
	attaches Bucket
}

func (u *Use) set(now clock.Instant, l Limits) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.requests.Set(l.Rate, l.RateBurst, now)
	u.attaches.Set(l.Attaches, l.AttachBurst, now)
	u.limits = l
}

// returning is how many times the limit of streams a user may have while clients come back to their sessions. The
// server may not have noticed the end of their last streams yet, and a refusal would cost them their sessions.
const returning = 2

// Enter counts a stream of the user. If it asks for a new session, Enter also counts the attach, and reserves the
// session until Begun. Otherwise the client comes back to a session.
func (u *Use) Enter(now clock.Instant, session bool) Limit {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.full(session) {
		return UserStreams
	}
	if session {
		if limit := u.reserve(now); limit != "" {
			return limit
		}
	}
	u.streams++

	return ""
}

// full reports whether the user may not have one more stream. It is called with mu held.
func (u *Use) full(session bool) bool {
	most := u.limits.Streams
	if !session {
		most *= returning
	}

	return u.all != nil && most > 0 && u.streams >= most
}

// Pass is like Enter for a stream that is passed on to another server, which counts its session.
func (u *Use) Pass(session bool) Limit {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.full(session) {
		return UserStreams
	}
	u.streams++

	return ""
}

// Accept is like Enter for a stream that another server has passed on and counted. Leave must not be called for it.
func (u *Use) Accept(now clock.Instant, session bool) Limit {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !session {
		return ""
	}

	return u.reserve(now)
}

// reserve reserves a session. It is called with mu held.
func (u *Use) reserve(now clock.Instant) Limit {
	sessions, attaches := Sessions, Attaches
	if u.all != nil {
		sessions, attaches = UserSessions, UserAttaches
	}
	switch {
	case u.limits.Sessions > 0 && u.sessions >= u.limits.Sessions:
		return sessions
	case !u.attaches.Take(now):
		return attaches
	}
	if u.all != nil {
		if limit := u.all.Enter(now, true); limit != "" {
			return limit
		}
		u.all.Leave()
	}
	u.sessions++

	return ""
}

// Miss counts an attach to a session that the server then refuses, because the session does not exist or belongs to
// somebody else. It cannot be refused before, because clients come back to their sessions in the same way. New sessions
// of the user pay for it.
func (u *Use) Miss(now clock.Instant) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.attaches.Owe(now)
}

// Begun ends the reservation of a session that was counted with Keep, or has not begun.
func (u *Use) Begun() {
	u.Keep(-1)
	if u.all != nil {
		u.all.Keep(-1)
	}
}

// Leave ends the use of a stream.
func (u *Use) Leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.streams--
}

// Keep counts n more sessions that exist, or fewer if n is negative. Those of a user are not counted for all users.
func (u *Use) Keep(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sessions += n
}

// Request counts a request.
func (u *Use) Request(now clock.Instant) Limit {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.requests.Take(now):
	case u.all == nil:
		return Rate
	default:
		return UserRate
	}
	if u.all == nil {
		return ""
	}

	return u.all.Request(now)
}

// Release counts a request that is not refused. Other requests of the user pay for it.
func (u *Use) Release(now clock.Instant) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.requests.Owe(now)
	if u.all != nil {
		u.all.Release(now)
	}
}

// Used returns the numbers of streams and sessions. Those of all users together include the streams of nobody else than
// callers without a name.
func (u *Use) Used() (streams, sessions int) {
	u.mu.Lock()
	defer u.mu.Unlock()

	return u.streams, u.sessions
}
