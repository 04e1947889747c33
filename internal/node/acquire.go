package node

import "bytes"

// acquire handles an Acquire request (Q1 to Q7).
func (n *Node) acquire(r Acquire, fx *Effects) {
	if f := n.acquirable(r); f.status != 0 {
		fx.reply(r.Stream, Acquired{Result: f.result(r.Req)})

		return
	}
	sem := n.semaphores[r.Semaphore]
	if sem == nil {
		sem = n.newSemaphore(r.Semaphore, maxSemaphoreLimit, nil, true, fx) // Q4
	}

	switch l := sem.queue.of(n.sessions[r.Session]); {
	case l == nil:
		n.enqueue(sem, r, fx)
	case r.Count > l.count:
		f := fault{BadRequest, "Increasing count is not allowed"}
		fx.reply(r.Stream, Acquired{Result: f.result(r.Req)})
	default:
		if f := n.roomToReplace(l.data, r.Data); f.status != 0 {
			fx.reply(r.Stream, Acquired{Result: f.result(r.Req)})

			return
		}
		if l.owner {
			n.shrink(l, r, fx)
		} else {
			n.requeue(l, r, fx)
		}
	}
}

// acquirable makes the checks of Q1 to Q4, before anything changes. The first check that fails decides the answer.
func (n *Node) acquirable(r Acquire) fault {
	switch {
	case r.Count == 0:
		return fault{BadRequest, "Acquire must have count > 0"}
	case r.TimeoutMillis > maxAcquireTimeout && r.TimeoutMillis != Forever:
		return fault{BadRequest, "Acquire timeout is out of range"}
	case len(r.Data) > maxDataSize:
		return fault{BadRequest, "Acquire data is too large"}
	}
	if f := n.admissible(r.From, r.Semaphore); f.status != 0 {
		return f
	}

	switch sem := n.semaphores[r.Semaphore]; {
	case sem == nil && !r.Ephemeral:
		return fault{NotFound, "Semaphore does not exist"}
	case sem == nil:
		return n.roomForSemaphore(len(r.Semaphore) + len(r.Data))
	case sem.ephemeral != r.Ephemeral:
		return fault{PreconditionFailed, "Semaphore ephemeral mode mismatch"}
	case r.Count > sem.limit:
		return fault{BadRequest, "Cannot acquire more than allowed by the semaphore"}
	}

	return fault{}
}

// enqueue handles an acquire by a session that has no link to the semaphore (Q5).
func (n *Node) enqueue(sem *semaphore, r Acquire, fx *Effects) {
	grantable := !n.frozen && sem.queue.waiting == nil && r.Count <= sem.limit-sem.queue.held
	if r.TimeoutMillis == 0 && !grantable {
		n.settle(sem, event{}, fx) // a frozen node has created it for this request
		fx.reply(r.Stream, Acquired{Result: Result{Req: r.Req, Status: Success}})
		n.emitPlain(Event{
			Kind: GaveUp, Cause: NotImmediate, Session: r.Session, Semaphore: sem.name, Count: r.Count, Limit: sem.limit,
			Data: r.Data,
		}, fx)

		return
	}
	f := n.room(len(r.Data))
	if f.status == 0 && !grantable {
		f = n.roomToWait(sem)
	}
	if f.status != 0 {
		fx.reply(r.Stream, Acquired{Result: f.result(r.Req)})

		return
	}
	n.last.order++
	fx.putCounters(n.last)
	l := n.newLink(n.sessions[r.Session], sem, n.last.order)
	l.age.since = n.date
	n.waits.push(&l.age, n.now)
	n.ask(l, r, fx)
	if !l.owner {
		n.emit(Event{Kind: Waiting}, l, fx)
	}
}

// requeue handles an acquire by a session that already waits for the semaphore. The session keeps its place in the
// queue (Q7).
func (n *Node) requeue(l *link, r Acquire, fx *Effects) {
	l.supersede(fx)
	q := &l.semaphore.queue
	grantable := !n.frozen && q.waiting == l && r.Count <= l.semaphore.limit-q.held
	if r.TimeoutMillis == 0 && !grantable {
		fx.reply(r.Stream, Acquired{Result: Result{Req: r.Req, Status: Success}})
		n.unlink(l, NotImmediate, fx)
		n.settle(l.semaphore, event{}, fx)

		return
	}
	n.ask(l, r, fx)
}

// ask makes the acquire the one that the waiting link represents. It grants the link immediately or starts its timer.
func (n *Node) ask(l *link, r Acquire, fx *Effects) {
	l.stream, l.req = r.Stream, r.Req
	if l.count != r.Count || l.timeoutMillis != r.TimeoutMillis || !bytes.Equal(l.data, r.Data) { // true for a new link
		l.count, l.timeoutMillis = r.Count, r.TimeoutMillis
		n.setData(l, r.Data)
		fx.put(l.record())
	}
	n.settle(l.semaphore, event{}, fx)
	if l.owner {
		return
	}
	fx.reply(l.stream, AcquirePending{l.req})
	n.startTimer(l)
}

func (n *Node) startTimer(l *link) {
	if l.timeoutMillis == Forever {
		n.stopTimer(l)

		return
	}
	if l.deadline == nil {
		l.deadline = &deadline{link: l}
	}
	n.deadlines.start(l.deadline, n.now.Add(millis(l.timeoutMillis)))
}

func (n *Node) stopTimer(l *link) {
	n.deadlines.cancel(l.deadline)
	l.deadline = nil
}

// shrink handles an acquire by a session that owns the semaphore. Such a session can only lower its count and change
// its data (Q6).
func (n *Node) shrink(l *link, r Acquire, fx *Effects) {
	fx.reply(r.Stream, Acquired{Result{Req: r.Req, Status: Success}, true})
	if l.count == r.Count && bytes.Equal(l.data, r.Data) {
		return
	}
	shrunk := l.count > r.Count
	l.semaphore.queue.held -= l.count - r.Count
	l.count = r.Count
	n.setData(l, r.Data)
	fx.put(l.record())
	if shrunk {
		n.emit(Event{Kind: Shrunk}, l, fx)
	}
	n.settle(l.semaphore, event{owners: true}, fx)
}

// giveUp ends a waiting acquire whose timeout has expired (Q5).
func (n *Node) giveUp(l *link, fx *Effects) {
	l.tell(Success, false, "", fx)
	n.unlink(l, ByTimeout, fx)
	n.settle(l.semaphore, event{}, fx)
}

// release handles a Release request (Q8).
func (n *Node) release(r Release, fx *Effects) {
	if f := n.admissible(r.From, r.Semaphore); f.status != 0 {
		fx.reply(r.Stream, Released{Result: f.result(r.Req)})

		return
	}
	var l *link
	if sem := n.semaphores[r.Semaphore]; sem != nil {
		l = sem.queue.of(n.sessions[r.Session])
	}
	if l == nil {
		fx.reply(r.Stream, Released{Result: Result{Req: r.Req, Status: Success}})

		return
	}

	if !l.owner {
		l.supersede(fx)
	}
	fx.reply(r.Stream, Released{Result{Req: r.Req, Status: Success}, true})
	n.unlink(l, ByRelease, fx) // Q10: a hand-over writes only this deletion
	n.settle(l.semaphore, event{owners: l.owner}, fx)
}
