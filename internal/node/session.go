package node

import (
	"cmp"
	"slices"
)

// session outlives the streams that attach to it, one at a time.
type session struct {
	deadline deadline // set while no stream is attached

	id            uint64
	stream        StreamID // 0 if detached
	seq           uint64   // of the last attach; not durable (A6)
	timeoutMillis uint64
	description   string
	key           string // protection key; empty for none
	links         *link  // head of a list, newest first
	watches       map[*semaphore]*watch
	fresh         bool // the attach of the current stream created the session (A11)
	owned         int  // links that are owners
	age           age  // in the list of detached sessions that own something
}

func newSession(id uint64) *session {
	s := &session{id: id}
	s.deadline.session = s

	return s
}

func (s *session) record() (key, value []byte) {
	e := encoder{key: sessionKey(s.id)}

	return e.key, e.uint(s.timeoutMillis).string(s.description).string(s.key).done()
}

// attach handles an Attach request (A4 to A9).
func (n *Node) attach(r Attach, fx *Effects) {
	if r.Stream == 0 {
		panic("node: attach of stream 0")
	}
	s, f := n.attachable(r)
	if f.status != 0 {
		fx.reply(r.Stream, Failure{f.status, f.issue})

		return
	}

	if s == nil {
		n.last.session++
		s = newSession(n.last.session)
		s.key, s.fresh = string(r.ProtectionKey), true
		n.sessions[s.id] = s
		n.text += len(s.key)
		fx.putCounters(n.last)
	} else {
		s.fresh = false
	}
	stolen := s.stream
	n.disconnect(s)
	n.deadlines.cancel(&s.deadline) // A9
	s.stream, s.seq = r.Stream, r.Seq
	n.absence(s)
	n.streams[s.stream] = s
	if s.fresh || s.timeoutMillis != r.TimeoutMillis || s.description != r.Description {
		n.text += len(r.Description) - len(s.description)
		s.timeoutMillis, s.description = r.TimeoutMillis, r.Description
		fx.put(s.record())
	}

	fx.reply(s.stream, Attached{Session: s.id, TimeoutMillis: s.timeoutMillis})
	if stolen != 0 { // A8
		fx.reply(stolen, Failure{BadSession, "Session stolen by another local client"})
	}
}

// WrongKey is the issue of the Failure for an attach with another protection key than the session's.
const WrongKey = "Attach request protection key mismatch"

// EndedByOperator is the issue of the Failure with SESSION_EXPIRED on the stream of a session that an operator has
// ended. An attach to it gets the same issue as to any session that does not exist.
const EndedByOperator = "An operator has ended the session"

// attachable returns the session that an attach restores, or nil if the attach creates one. If the attach is refused,
// attachable returns the reason.
func (n *Node) attachable(r Attach) (*session, fault) {
	switch {
	case n.streams[r.Stream] != nil:
		return nil, fault{BadRequest, "Session cannot be started twice"} // P5
	case r.TimeoutMillis > maxSessionTimeout:
		return nil, fault{BadRequest, "Session timeout is out of range"}
	case len(r.Description) > maxDescriptionSize:
		return nil, fault{BadRequest, "Description is too large"}
	case len(r.ProtectionKey) > maxKeySize:
		return nil, fault{BadRequest, "Protection key is too large"}
	}
	if r.Session == 0 {
		if len(n.sessions) >= n.maxSessions { // A5
			n.refusals++

			return nil, fault{PreconditionFailed, "Too many sessions already exist"}
		}

		return nil, n.room(0)
	}

	s := n.sessions[r.Session]
	switch { // A6
	case s == nil:
		return nil, fault{SessionExpired, "Session does not exist"}
	case r.Seq < s.seq:
		return nil, fault{BadSession, "Attach request is out of sequence"}
	case s.key != "" && s.key != string(r.ProtectionKey):
		return nil, fault{BadSession, WrongKey}
	}

	return s, fault{}
}

// disconnect separates the session from its stream, if it has one, and drops its watches, which do not outlive the
// stream (A8).
func (n *Node) disconnect(s *session) {
	n.unwatch(s)
	delete(n.streams, s.stream)
	s.stream = 0
}

// detach disconnects the session of a stream that has ended and starts the session's timeout (A10).
func (n *Node) detach(stream StreamID, fx *Effects) {
	s := n.streams[stream]
	if s == nil {
		return // the attach was refused, or the session was taken over or has ended
	}
	n.disconnect(s)
	if s.timeoutMillis == 0 {
		n.destroy(s, ByExpiry, fx)

		return
	}
	n.absence(s)
	n.deadlines.start(&s.deadline, n.now.Add(millis(s.timeoutMillis)))
}

// abandon is detach for a stream whose client never received the session id (A11).
func (n *Node) abandon(stream StreamID, fx *Effects) {
	if s := n.streams[stream]; s != nil && s.fresh {
		n.destroy(s, ByExpiry, fx)

		return
	}
	n.detach(stream, fx)
}

// expireEarly does to a detached session now what expire does at the deadline.
func (n *Node) expireEarly(r Expire, fx *Effects) {
	s := n.sessions[r.Session]
	if s == nil || s.stream != 0 {
		return
	}
	n.deadlines.cancel(&s.deadline)
	n.destroy(s, cmp.Or(r.Cause, ByLifeline), fx)
}

// stop handles a Stop request (A14).
func (n *Node) stop(r Stop, fx *Effects) {
	if f := n.attached(r.From); f.status != 0 {
		fx.reply(r.Stream, Failure{f.status, f.issue})

		return
	}
	fx.reply(r.Stream, Stopped{r.Session})
	n.destroy(n.sessions[r.Session], ByStop, fx)
}

// attached checks that the session of the request is attached to the stream of the request (Q2).
func (n *Node) attached(r From) fault {
	switch s := n.sessions[r.Session]; {
	case s == nil:
		return fault{SessionExpired, "Session does not exist"}
	case s.stream != r.Stream || r.Stream == 0:
		return fault{BadSession, "Session not attached"}
	}

	return fault{}
}

// destroy ends a session and removes all its links (A12). The caller has removed the session's deadline. The session
// itself gets no message. The semaphores are settled one after another, by id (Q12).
func (n *Node) destroy(s *session, cause Cause, fx *Effects) {
	n.disconnect(s)
	delete(n.sessions, s.id)
	n.text -= len(s.key) + len(s.description)
	fx.del(sessionKey(s.id))

	var links []*link
	for l := s.links; l != nil; l = l.older {
		links = append(links, l)
	}
	slices.SortFunc(links, func(a, b *link) int { return cmp.Compare(a.semaphore.id, b.semaphore.id) })
	for _, l := range links {
		n.unlink(l, cause, fx)
		n.settle(l.semaphore, event{owners: l.owner}, fx)
	}
	n.emitPlain(Event{Kind: SessionEnded, Cause: cause, Session: s.id}, fx)
}
