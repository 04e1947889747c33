package node

// link is the pair of a session and a semaphore. It is either an owner or a waiter.
type link struct {
	deadline *deadline // of a waiter that does not wait forever; nil for others

	session       *session
	semaphore     *semaphore
	orderID       uint64
	count         uint64
	timeoutMillis uint64
	data          []byte
	owner         bool
	loaded        bool   // it was in its queue, or owned the semaphore, when the node was loaded
	granted       uint64 // when it became an owner, in milliseconds since 1970; 0: unknown

	age age // in the list of waiters or of owners

	// The latest acquire for the link, which is answered when the wait ends. The stream gets the answer only if the
	// session is still attached to it. After a re-attach nobody is notified (A8).
	stream StreamID
	req    uint64

	ahead, behind *link // neighbours in the semaphore's queue
	older, newer  *link // neighbours in the session's list
}

func (l *link) record() (key, value []byte) {
	e := encoder{key: linkRecordKey(l.session.id, l.semaphore.id)}

	e.uint(l.orderID).uint(l.count).uint(l.timeoutMillis).bytes(l.data)
	if l.age.since > 0 {
		e.uint(l.age.since)
	}

	return e.key, e.done()
}

// tell answers the acquire that the link represents, if the session is still attached to the stream of that acquire.
func (l *link) tell(status Status, acquired bool, issue string, fx *Effects) {
	if l.stream != 0 && l.stream == l.session.stream {
		fx.reply(l.stream, Acquired{Result{l.req, status, issue}, acquired})
	}
}

// supersede answers the waiting acquire when another request of the same session replaces it (Q7, Q8).
func (l *link) supersede(fx *Effects) {
	l.tell(Aborted, false, "Operation superseded by another request", fx)
}

func (n *Node) newLink(s *session, sem *semaphore, orderID uint64) *link {
	l := &link{orderID: orderID}
	n.join(l, s, sem)

	return l
}

// join adds a link to the node. Its order id is above that of all others in the queue. The caller counts its data.
func (n *Node) join(l *link, s *session, sem *semaphore) {
	l.session, l.semaphore = s, sem
	l.age.link = l
	n.links++
	if l.older = s.links; l.older != nil {
		l.older.newer = l
	}
	s.links = l
	sem.queue.push(l)
}

// unlink removes the link from the node, its session and its semaphore. The caller must then settle the semaphore.
func (n *Node) unlink(l *link, cause Cause, fx *Effects) {
	if l.owner {
		n.emit(Event{Kind: Ended, Cause: cause}, l, fx)
		n.holds.remove(&l.age)
		l.session.owned--
		n.absence(l.session)
	} else {
		n.emit(Event{Kind: GaveUp, Cause: cause}, l, fx)
		n.waits.remove(&l.age)
	}
	n.stopTimer(l)
	n.links--
	if l.newer != nil {
		l.newer.older = l.older
	} else {
		l.session.links = l.older
	}
	if l.older != nil {
		l.older.newer = l.newer
	}
	l.semaphore.queue.remove(l)
	n.data -= len(l.data)
	fx.del(linkRecordKey(l.session.id, l.semaphore.id))
}
