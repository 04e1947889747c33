package node_test

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"tenure/internal/clock"
	"tenure/internal/node"
)

// model is the slow twin of the node. It implements docs/protocol.md as literally as possible, with slices that it
// searches from the start. It does not store which links are owners. Whenever it needs to know, it goes through the
// links of the semaphore by order id and grants them while they fit (Q10). To find out which streams to notify about an
// operation, it compares the states before and after. The model shares the types of requests and replies with the node,
// but no code.
type model struct {
	config     node.Config
	now        clock.Instant
	lastIDs    countersRecord
	sessions   []*modelSession   // by id
	semaphores []*modelSemaphore // by id
	links      []*modelLink      // by order id
	watches    []modelWatch      // in the order in which they were registered
	replies    []node.Reply
	emitted    []node.Event
	date       uint64 // ms
}

type modelSession struct {
	id          uint64
	stream      node.StreamID // 0 if detached
	made        bool          // the attach of the current stream created the session (A11)
	seq         uint64
	timeout     uint64 // ms
	description string
	key         []byte
	deadline    clock.Instant // of a detached session
}

type modelSemaphore struct {
	id        uint64
	name      string
	limit     uint64
	ephemeral bool
	data      []byte
}

type modelLink struct {
	session, semaphore uint64
	order              uint64
	count              uint64
	timeout            uint64 // ms
	data               []byte

	// Of the acquire to answer when the link becomes an owner.
	stream   node.StreamID
	req      uint64
	answered bool
	deadline clock.Instant // 0 for never; meaningless once the link is an owner

	// For events.
	since   uint64        // ms; when it joined the queue
	owner   bool          // an event has said so
	granted uint64        // ms
	at      clock.Instant // of the grant, or of joining the queue
	loaded  bool
}

type modelWatch struct {
	session, semaphore uint64
	req                uint64
	data, owners       bool
}

const (
	second             = 1000 // ms
	forever            = 1<<64 - 1
	superseded         = "Operation superseded by another request"
	missingSession     = "Session does not exist"
	missingSemaphore   = "Semaphore does not exist"
	tooManySemaphores  = "Too many semaphores already exist"
	tooLongName        = "Semaphore name is too long"
	million            = 1_000_000
	longestName        = 1024
	largestData        = 1024 * 1024
	longestDescription = 1024
	longestKey         = 16
)

// apply is the model's version of Node.Apply. It returns the replies to the request and the next wake-up.
func (m *model) apply(now clock.Instant, req node.Request) (replies []node.Reply, wake clock.Instant) {
	m.replies, m.emitted = nil, nil
	m.now = max(m.now, now)
	m.happen() // what is due takes effect before the request
	switch r := req.(type) {
	case node.Attach:
		m.attach(r)
	case node.Detach:
		m.detach(r.Stream)
	case node.Abandon:
		m.abandon(r.Stream)
	case node.Expire: // A12, as if the deadline were due
		if s := m.session(r.Session); s != nil && s.stream == 0 {
			m.destroy(s, cmp.Or(r.Cause, node.ByLifeline))
		}
	case node.Stop:
		m.stop(r)
	case node.Acquire:
		m.acquire(r)
	case node.Release:
		m.release(r)
	case node.Create:
		m.create(r)
	case node.Update:
		m.update(r)
	case node.Delete:
		m.delete(r)
	case node.Describe:
		m.describe(r)
	case node.Tick:
	}
	m.happen() // a timeout of 0 expires immediately (A10)

	return m.replies, m.wake()
}

// restart discards all state that is not durable (A13, A6).
func (m *model) restart(lost clock.Instant) {
	m.now = lost
	m.watches = nil
	for _, s := range m.sessions {
		s.stream, s.made, s.seq = 0, false, 0
		s.deadline = lost + after(s.timeout) + after(m.grace())
	}
	for _, l := range m.links {
		l.stream, l.req = 0, 0
		l.deadline = m.deadline(l.timeout)
		l.owner, l.granted, l.at, l.loaded = m.owns(l), 0, lost, true
	}
}

// grace returns the grace period of N5 in ms.
func (m *model) grace() uint64 {
	check, grace := uint64(m.config.SelfCheckPeriodMillis), uint64(m.config.SessionGracePeriodMillis)
	if check == 0 {
		check = 1 * second
	}
	if check < 500 {
		check = 500
	}
	if check > 10*second {
		check = 10 * second
	}
	if grace == 0 {
		grace = 10 * second
	}
	if grace < check+1*second {
		grace = check + 1*second
	}
	if grace > 30*second {
		grace = 30 * second
	}

	return grace
}

// modelEvent is the expiry of a session or the timeout of a waiter.
type modelEvent struct {
	at      clock.Instant
	waiter  bool // at the same instant, sessions come first
	id      uint64
	session *modelSession
	link    *modelLink
}

func (m *model) events() []modelEvent {
	var events []modelEvent
	for _, s := range m.sessions {
		if s.stream == 0 {
			events = append(events, modelEvent{at: s.deadline, id: s.id, session: s})
		}
	}
	for _, sem := range m.semaphores {
		_, waiters := m.queue(sem)
		for _, l := range waiters {
			if l.deadline != 0 {
				events = append(events, modelEvent{at: l.deadline, waiter: true, id: l.order, link: l})
			}
		}
	}
	slices.SortFunc(events, func(a, b modelEvent) int {
		switch {
		case a.at != b.at:
			return cmp.Compare(a.at, b.at)
		case a.waiter != b.waiter && b.waiter:
			return -1
		case a.waiter != b.waiter:
			return 1
		default:
			return cmp.Compare(a.id, b.id)
		}
	})

	return events
}

func (m *model) wake() clock.Instant {
	if events := m.events(); len(events) > 0 {
		return events[0].at
	}

	return 0
}

// happen carries out all events that are due, one after another.
func (m *model) happen() {
	for {
		events := m.events()
		if len(events) == 0 || events[0].at > m.now {
			return
		}
		if e := events[0]; e.session != nil {
			m.destroy(e.session, node.ByExpiry) // A12
		} else { // Q5
			sem := m.semaphoreOf(e.link)
			m.operate(sem, func() {
				m.tellAcquirer(e.link, node.Success, "", false)
				m.endLink(e.link, node.ByTimeout)
			})
		}
	}
}

func (m *model) attach(r node.Attach) {
	refuse := func(status node.Status, issue string) {
		m.say(r.Stream, node.Failure{Status: status, Issue: issue})
	}
	for _, s := range m.sessions { // P5
		if s.stream == r.Stream {
			refuse(node.BadRequest, "Session cannot be started twice")

			return
		}
	}
	switch { // A4
	case r.TimeoutMillis > 30*60*second:
		refuse(node.BadRequest, "Session timeout is out of range")

		return
	case len(r.Description) > longestDescription:
		refuse(node.BadRequest, "Description is too large")

		return
	case len(r.ProtectionKey) > longestKey:
		refuse(node.BadRequest, "Protection key is too large")

		return
	}
	attached := node.Attached{Session: r.Session, TimeoutMillis: r.TimeoutMillis}

	if r.Session == 0 { // A5
		if len(m.sessions) == million {
			refuse(node.PreconditionFailed, "Too many sessions already exist")

			return
		}
		m.lastIDs.session++
		attached.Session = m.lastIDs.session
		m.sessions = append(m.sessions, &modelSession{
			id: m.lastIDs.session, stream: r.Stream, made: true, seq: r.Seq, timeout: r.TimeoutMillis,
			description: r.Description, key: r.ProtectionKey,
		})
		m.say(r.Stream, attached)

		return
	}

	s := m.session(r.Session)
	switch { // A6
	case s == nil:
		refuse(node.SessionExpired, missingSession)

		return
	case r.Seq < s.seq:
		refuse(node.BadSession, "Attach request is out of sequence")

		return
	case len(s.key) > 0 && !bytes.Equal(s.key, r.ProtectionKey):
		refuse(node.BadSession, "Attach request protection key mismatch")

		return
	}
	old := s.stream
	m.forgetWatches(s)
	s.stream, s.made, s.seq, s.timeout, s.description = r.Stream, false, r.Seq, r.TimeoutMillis, r.Description
	m.say(r.Stream, attached)
	if old != 0 { // A8
		m.say(old, node.Failure{Status: node.BadSession, Issue: "Session stolen by another local client"})
	}
}

func (m *model) detach(stream node.StreamID) { // A10
	for _, s := range m.sessions {
		if s.stream != 0 && s.stream == stream {
			m.forgetWatches(s)
			s.stream, s.made = 0, false
			s.deadline = m.now + after(s.timeout)
		}
	}
}

func (m *model) abandon(stream node.StreamID) { // A11
	for _, s := range slices.Clone(m.sessions) {
		if s.stream == stream && s.made {
			m.destroy(s, node.ByExpiry)
		}
	}
	m.detach(stream)
}

func (m *model) stop(r node.Stop) { // A14
	if status, issue := m.stranger(r.From); status != node.Success {
		m.say(r.Stream, node.Failure{Status: status, Issue: issue})

		return
	}
	m.say(r.Stream, node.Stopped{Session: r.Session})
	m.destroy(m.session(r.Session), node.ByStop)
}

// destroy ends the session (A12). It handles the semaphores by id (Q12) and sends nothing to the session itself.
func (m *model) destroy(s *modelSession, cause node.Cause) {
	m.forgetWatches(s)
	defer m.emit(node.Event{Kind: node.SessionEnded, Cause: cause, Session: s.id})
	m.sessions = slices.DeleteFunc(m.sessions, func(x *modelSession) bool { return x == s })
	for _, sem := range slices.Clone(m.semaphores) {
		if l := m.link(s.id, sem); l != nil {
			m.operate(sem, func() { m.endLink(l, cause) })
		}
	}
}

func (m *model) acquire(r node.Acquire) {
	answer := func(status node.Status, issue string, acquired bool) {
		m.say(r.Stream, node.Acquired{Result: result(r.Req, status, issue), Acquired: acquired})
	}
	switch { // Q1
	case r.Count == 0:
		answer(node.BadRequest, "Acquire must have count > 0", false)

		return
	case r.TimeoutMillis > 24*60*60*second && r.TimeoutMillis != forever:
		answer(node.BadRequest, "Acquire timeout is out of range", false)

		return
	case len(r.Data) > largestData:
		answer(node.BadRequest, "Acquire data is too large", false)

		return
	case len(r.Semaphore) > longestName:
		answer(node.BadRequest, tooLongName, false)

		return
	}
	if status, issue := m.stranger(r.From); status != node.Success {
		answer(status, issue, false)

		return
	}
	sem := m.semaphore(r.Semaphore)
	switch {
	case sem == nil && !r.Ephemeral: // Q3
		answer(node.NotFound, missingSemaphore, false)

		return
	case sem == nil && len(m.semaphores) == million: // Q4
		answer(node.PreconditionFailed, tooManySemaphores, false)

		return
	case sem == nil:
		sem = m.makeSemaphore(r.Semaphore, 1<<64-1, true, nil)
	case sem.ephemeral != r.Ephemeral:
		answer(node.PreconditionFailed, "Semaphore ephemeral mode mismatch", false)

		return
	case r.Count > sem.limit:
		answer(node.BadRequest, "Cannot acquire more than allowed by the semaphore", false)

		return
	}
	m.operate(sem, func() {
		l := m.link(r.Session, sem)
		switch {
		case l != nil && r.Count > l.count: // Q6, Q7
			answer(node.BadRequest, "Increasing count is not allowed", false)

			return
		case l != nil && m.owns(l): // Q6
			shrunk := l.count != r.Count
			l.count, l.data = r.Count, r.Data
			answer(node.Success, "", true)
			if shrunk {
				m.emitLink(node.Shrunk, 0, l)
			}

			return
		case l != nil: // Q7
			m.tellAcquirer(l, node.Aborted, superseded, false)
		default: // Q5
			m.lastIDs.order++
			l = &modelLink{session: r.Session, semaphore: sem.id, order: m.lastIDs.order, since: m.date, at: m.now}
			m.links = append(m.links, l)
		}
		isNew, old := l.count == 0, *l
		l.count, l.timeout, l.data = r.Count, r.TimeoutMillis, r.Data
		l.stream, l.req, l.deadline = r.Stream, r.Req, m.deadline(r.TimeoutMillis)
		switch {
		case m.owns(l):
			l.answered = true
			answer(node.Success, "", true)
		case r.TimeoutMillis == 0:
			if isNew {
				m.emit(node.Event{
					Kind: node.GaveUp, Cause: node.NotImmediate, Session: r.Session, Semaphore: sem.name, Count: r.Count,
					Limit: sem.limit, Data: r.Data,
				})
				m.removeLink(l)
				m.lastIDs.order--
			} else {
				l.count, l.data = old.count, old.data
				m.endLink(l, node.NotImmediate)
			}
			answer(node.Success, "", false)
		default:
			if isNew {
				m.emitLink(node.Waiting, 0, l)
			}
			m.say(r.Stream, node.AcquirePending{Req: r.Req})
		}
	})
}

func (m *model) release(r node.Release) { // Q8
	answer := func(status node.Status, issue string, released bool) {
		m.say(r.Stream, node.Released{Result: result(r.Req, status, issue), Released: released})
	}
	if len(r.Semaphore) > longestName {
		answer(node.BadRequest, tooLongName, false)

		return
	}
	if status, issue := m.stranger(r.From); status != node.Success {
		answer(status, issue, false)

		return
	}
	sem := m.semaphore(r.Semaphore)
	if sem == nil || m.link(r.Session, sem) == nil {
		answer(node.Success, "", false)

		return
	}
	m.operate(sem, func() {
		l := m.link(r.Session, sem)
		if !m.owns(l) {
			m.tellAcquirer(l, node.Aborted, superseded, false)
		}
		answer(node.Success, "", true)
		m.endLink(l, node.ByRelease)
	})
}

func (m *model) create(r node.Create) { // S1
	answer := func(status node.Status, issue string) {
		m.say(r.Stream, node.Created{Result: result(r.Req, status, issue)})
	}
	switch {
	case r.Limit == 0:
		answer(node.BadRequest, "Semaphores must have limit > 0")

		return
	case len(r.Semaphore) > longestName:
		answer(node.BadRequest, tooLongName)

		return
	case len(r.Data) > largestData:
		answer(node.BadRequest, "Semaphore data is too large")

		return
	}
	if status, issue := m.stranger(r.From); status != node.Success {
		answer(status, issue)

		return
	}
	switch sem := m.semaphore(r.Semaphore); {
	case sem != nil && sem.ephemeral:
		answer(node.PreconditionFailed, "Cannot create semaphore due to ephemeral locks")
	case sem != nil:
		answer(node.AlreadyExists, "Semaphore already exists")
	case len(m.semaphores) == million:
		answer(node.PreconditionFailed, tooManySemaphores)
	default:
		m.makeSemaphore(r.Semaphore, r.Limit, false, r.Data)
		answer(node.Success, "")
	}
}

func (m *model) update(r node.Update) { // S2
	answer := func(status node.Status, issue string) {
		m.say(r.Stream, node.Updated{Result: result(r.Req, status, issue)})
	}
	switch {
	case len(r.Semaphore) > longestName:
		answer(node.BadRequest, tooLongName)

		return
	case len(r.Data) > largestData:
		answer(node.BadRequest, "Semaphore data is too large")

		return
	}
	if status, issue := m.stranger(r.From); status != node.Success {
		answer(status, issue)

		return
	}
	sem := m.semaphore(r.Semaphore)
	if sem == nil {
		answer(node.NotFound, missingSemaphore)

		return
	}
	m.operate(sem, func() {
		sem.data = r.Data
		answer(node.Success, "")
	})
}

func (m *model) delete(r node.Delete) { // S3
	answer := func(status node.Status, issue string) {
		m.say(r.Stream, node.Deleted{Result: result(r.Req, status, issue)})
	}
	if len(r.Semaphore) > longestName {
		answer(node.BadRequest, tooLongName)

		return
	}
	if status, issue := m.stranger(r.From); status != node.Success {
		answer(status, issue)

		return
	}
	sem := m.semaphore(r.Semaphore)
	switch {
	case sem == nil:
		answer(node.NotFound, missingSemaphore)

		return
	case sem.ephemeral:
		answer(node.PreconditionFailed, "Cannot delete ephemeral semaphores")

		return
	}
	owners, waiters := m.queue(sem)
	if len(owners)+len(waiters) > 0 && !r.Force {
		answer(node.PreconditionFailed, "Semaphore not empty")

		return
	}
	for _, l := range slices.Concat(owners, waiters) {
		m.emitEnd(l, node.ByDelete)
	}
	for _, l := range waiters {
		m.tellAcquirer(l, node.Aborted, "Semaphore destroyed", false)
		m.removeLink(l)
	}
	for _, l := range owners {
		m.removeLink(l)
	}
	if len(owners)+len(waiters) > 0 {
		m.emit(node.Event{Kind: node.Destroyed, Session: r.Session, Semaphore: sem.name, Limit: sem.limit})
	}
	m.removeSemaphore(sem)
	answer(node.Success, "")
}

func (m *model) describe(r node.Describe) { // S4, S5
	refuse := func(status node.Status, issue string) {
		m.say(r.Stream, node.Described{Result: result(r.Req, status, issue)})
	}
	if len(r.Semaphore) > longestName {
		refuse(node.BadRequest, tooLongName)

		return
	}
	if status, issue := m.stranger(r.From); status != node.Success {
		refuse(status, issue)

		return
	}
	sem := m.semaphore(r.Semaphore)
	if sem == nil {
		refuse(node.NotFound, "Semaphore not found")

		return
	}
	watch := r.WatchData || r.WatchOwners
	if watch {
		for _, w := range m.watches {
			if w.session == r.Session && w.semaphore == sem.id {
				m.say(r.Stream, node.Changed{Req: w.req})
			}
		}
		m.watches = slices.DeleteFunc(m.watches, func(w modelWatch) bool {
			return w.session == r.Session && w.semaphore == sem.id
		})
		m.watches = append(m.watches, modelWatch{
			session: r.Session, semaphore: sem.id, req: r.Req, data: r.WatchData, owners: r.WatchOwners,
		})
	}
	d := m.description(sem)
	if !r.IncludeOwners {
		d.Owners = nil
	}
	if !r.IncludeWaiters {
		d.Waiters = nil
	}
	m.say(r.Stream, node.Described{Result: result(r.Req, node.Success, ""), Semaphore: d, WatchAdded: watch})
}

func (m *model) description(sem *modelSemaphore) *node.Description {
	d := &node.Description{Name: sem.name, Data: sem.data, Limit: sem.limit, Ephemeral: sem.ephemeral}
	owners, waiters := m.queue(sem)
	for _, l := range owners {
		d.Count += l.count
		d.Owners = append(d.Owners, node.Holder{
			OrderID: l.order, Session: l.session, Count: l.count, Data: l.data, Joined: l.since, Granted: l.granted,
		})
	}
	for _, l := range waiters {
		d.Waiters = append(d.Waiters, node.Holder{
			OrderID: l.order, Session: l.session, Count: l.count, TimeoutMillis: l.timeout, Data: l.data, Joined: l.since,
		})
	}

	return d
}

// operate calls change, which changes one semaphore and answers the requester. Afterwards it notifies everybody else:
// first the new owners whose acquire has not been answered yet, then the watchers (Q12).
func (m *model) operate(sem *modelSemaphore, change func()) {
	before := m.description(sem)
	change()
	owners, waiters := m.queue(sem)
	for _, l := range owners {
		if !l.owner {
			m.emitLink(node.Granted, 0, l)
			l.owner, l.granted, l.at, l.loaded = true, m.date, m.now, false
		}
		if !l.answered {
			m.tellAcquirer(l, node.Success, "", true)
			l.answered = true
		}
	}
	if sem.ephemeral && len(owners)+len(waiters) == 0 { // Q11
		m.removeSemaphore(sem)

		return
	}
	now := m.description(sem)
	m.notify(sem, !bytes.Equal(before.Data, now.Data), !slices.EqualFunc(before.Owners, now.Owners,
		func(a, b node.Holder) bool {
			return a.OrderID == b.OrderID && a.Count == b.Count && bytes.Equal(a.Data, b.Data)
		}))
}

// notify fires the watches that match one of the changes (S6).
func (m *model) notify(sem *modelSemaphore, data, owners bool) {
	var left []modelWatch
	for _, w := range m.watches {
		if w.semaphore == sem.id && (w.data && data || w.owners && owners) {
			m.say(m.session(w.session).stream, node.Changed{Req: w.req, DataChanged: data, OwnersChanged: owners})
		} else {
			left = append(left, w)
		}
	}
	m.watches = left
}

func (m *model) makeSemaphore(name string, limit uint64, ephemeral bool, data []byte) *modelSemaphore {
	m.lastIDs.semaphore++
	sem := &modelSemaphore{id: m.lastIDs.semaphore, name: name, limit: limit, ephemeral: ephemeral, data: data}
	m.semaphores = append(m.semaphores, sem)

	return sem
}

// removeSemaphore deletes the semaphore and fires all its watches (Q11, S3, S6).
func (m *model) removeSemaphore(sem *modelSemaphore) {
	m.notify(sem, true, true)
	m.semaphores = slices.DeleteFunc(m.semaphores, func(x *modelSemaphore) bool { return x == sem })
}

// queue returns the links of the semaphore, separated into owners and waiters by Q9 and Q10.
func (m *model) queue(sem *modelSemaphore) (owners, waiters []*modelLink) {
	left := sem.limit
	for _, l := range m.links {
		switch {
		case l.semaphore != sem.id:
		case len(waiters) == 0 && l.count <= left:
			left -= l.count
			owners = append(owners, l)
		default:
			waiters = append(waiters, l)
		}
	}

	return owners, waiters
}

func (m *model) owns(l *modelLink) bool {
	owners, _ := m.queue(m.semaphoreOf(l))

	return slices.Contains(owners, l)
}

// stranger checks that the session of the request is attached to the stream of the request (Q2).
func (m *model) stranger(f node.From) (node.Status, string) {
	switch s := m.session(f.Session); {
	case s == nil:
		return node.SessionExpired, missingSession
	case s.stream == 0 || s.stream != f.Stream:
		return node.BadSession, "Session not attached"
	default:
		return node.Success, ""
	}
}

// tellAcquirer answers the latest acquire of the link, if the session is still attached to the stream of that acquire
// (A8).
func (m *model) tellAcquirer(l *modelLink, status node.Status, issue string, acquired bool) {
	if s := m.session(l.session); l.stream != 0 && s.stream == l.stream {
		m.say(l.stream, node.Acquired{Result: result(l.req, status, issue), Acquired: acquired})
	}
}

func (m *model) say(to node.StreamID, message node.Message) {
	m.replies = append(m.replies, node.Reply{Stream: to, Message: message})
}

func (m *model) session(id uint64) *modelSession {
	for _, s := range m.sessions {
		if s.id == id {
			return s
		}
	}

	return nil
}

func (m *model) semaphore(name string) *modelSemaphore {
	for _, sem := range m.semaphores {
		if sem.name == name {
			return sem
		}
	}

	return nil
}

func (m *model) semaphoreOf(l *modelLink) *modelSemaphore {
	for _, sem := range m.semaphores {
		if sem.id == l.semaphore {
			return sem
		}
	}

	return nil
}

func (m *model) link(session uint64, sem *modelSemaphore) *modelLink {
	for _, l := range m.links {
		if l.session == session && l.semaphore == sem.id {
			return l
		}
	}

	return nil
}

func (m *model) removeLink(l *modelLink) {
	m.links = slices.DeleteFunc(m.links, func(x *modelLink) bool { return x == l })
}

func (m *model) forgetWatches(s *modelSession) {
	m.watches = slices.DeleteFunc(m.watches, func(w modelWatch) bool { return w.session == s.id })
}

// deadline returns the instant at which an acquire's timeout that starts now expires, or 0 if it never does.
func (m *model) deadline(timeout uint64) clock.Instant {
	if timeout == forever {
		return 0
	}

	return m.now + after(timeout)
}

func after(ms uint64) clock.Instant { return clock.Instant(ms) * clock.Instant(time.Millisecond) }

func result(req uint64, status node.Status, issue string) node.Result {
	return node.Result{Req: req, Status: status, Issue: issue}
}

// modelOf returns the model of a node with these records. The caller must restart it before use.
func modelOf(st state) *model {
	m := &model{lastIDs: st.counters}
	for _, s := range st.sessions {
		m.sessions = append(m.sessions, &modelSession{
			id: s.id, timeout: s.timeout, description: s.description, key: []byte(s.key),
		})
	}
	for _, s := range st.semaphores {
		m.semaphores = append(m.semaphores, &modelSemaphore{
			id: s.id, name: s.name, limit: s.limit, ephemeral: s.ephemeral, data: []byte(s.data),
		})
	}
	for _, l := range st.links {
		m.links = append(m.links, &modelLink{
			session: l.session, semaphore: l.semaphore,
			order: l.order, count: l.count, timeout: l.timeout, data: []byte(l.data), since: l.since,
		})
	}

	return m
}

// state returns the state that the model expects to be durable.
func (m *model) state() state {
	st := state{counters: m.lastIDs}
	for _, s := range m.sessions {
		st.sessions = append(st.sessions, sessionRecord{
			id: s.id, timeout: s.timeout, description: s.description, key: string(s.key),
		})
	}
	for _, sem := range m.semaphores {
		st.semaphores = append(st.semaphores, semaphoreRecord{
			id: sem.id, name: sem.name, limit: sem.limit, ephemeral: sem.ephemeral, data: string(sem.data),
		})
		owners, waiters := m.queue(sem)
		for _, l := range slices.Concat(owners, waiters) {
			st.links = append(st.links, linkRecord{
				session: l.session, semaphore: l.semaphore,
				order: l.order, count: l.count, timeout: l.timeout, data: string(l.data), since: l.since,
			})
		}
	}
	st.sort()

	return st
}
