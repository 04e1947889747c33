package session

import (
	"slices"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/clock"
)

// Begin sends a call, now or when there is a stream. A Release ends its lease at once.
func (c *Core) Begin(now clock.Instant, call *Call, fx *Effects) {
	defer c.wake(fx)
	if !c.enter(now, fx) || c.cause != nil {
		fx.do(Finished{Call: call, Err: ErrOver})

		return
	}
	if call.Kind == Release {
		if call.lease.ended {
			fx.do(Finished{Call: call})

			return
		}
		c.endLease(call.lease, ErrReleased, fx)
	}
	c.begin(call, fx)
}

func (c *Core) begin(call *Call, fx *Effects) {
	c.lastReq++
	call.number(c.lastReq)
	c.calls.push(call)
	if call.Kind == Acquire {
		c.acquires[call.name] = append(c.acquires[call.name], call)
	}
	if call.Watch != nil {
		call.Watch.req = call.req
		c.watches[call.req] = call.Watch
	}
	if c.phase == attached {
		c.transmit(call, fx)
	}
}

func (c *Core) transmit(call *Call, fx *Effects) {
	call.sentAt, call.everSent = c.now, true
	fx.do(Send{c.stream, call.message})
}

// Cancel says that nobody waits for the call any more; it finishes in silence. What it has taken or queued for is given
// back.
func (c *Core) Cancel(now clock.Instant, call *Call, fx *Effects) {
	defer c.wake(fx)
	if !c.enter(now, fx) || c.calls.byReq[call.req] != call {
		return
	}
	call.abandoned = true
	delete(c.watches, call.req)
	if !call.everSent {
		c.finish(call)

		return
	}
	if call.Kind == Acquire {
		c.revoke(call, fx)
	}
}

// revoke takes an abandoned acquire out of the queue, or gives back what it is granted. One behind which another
// acquire stands has been overridden by that (Q7); one of a held semaphore has changed only that (Q6).
func (c *Core) revoke(call *Call, fx *Effects) {
	of := c.acquires[call.name]
	if c.leases[call.name] != nil || call.revoked || of[len(of)-1] != call {
		return
	}
	call.revoked = true
	c.giveBack(call.name, fx)
}

// giveBack releases what the session owns or waits for under the name, for nobody.
func (c *Core) giveBack(name string, fx *Effects) {
	r := release(name)
	r.abandoned = true
	c.begin(r, fx)
}

// finish takes a call out of everything.
func (c *Core) finish(call *Call) {
	c.calls.remove(call)
	if call.Kind != Acquire {
		return
	}
	of := c.acquires[call.name]
	i := slices.Index(of, call)
	if of = slices.Delete(of, i, i+1); len(of) == 0 {
		delete(c.acquires, call.name)
	} else {
		c.acquires[call.name] = of
	}
}

// repeat sends what has not been answered over a new stream (C3).
func (c *Core) repeat(fx *Effects) {
	var next *Call
	for call := c.calls.first; call != nil; call = next {
		next = call.after
		switch {
		case call.abandoned && call.Kind != Release:
			c.finish(call) // an Acquire that was revoked has its Release behind it
		case call.everSent && !call.repeatable():
			c.finish(call)
			fx.do(Finished{Call: call, Err: ErrUnknown})
		default:
			c.transmit(call, fx)
		}
	}
}

// answered is the result of a call.
func (c *Core) answered(a answer, fx *Effects) {
	call := c.calls.byReq[a.req]
	if call == nil || call.sentAt == 0 {
		return
	}
	switch {
	case a.fromNode():
		c.proof.take(call.sentAt)
	case a.status == Ydb.StatusIds_SESSION_EXPIRED: // Q2
		c.end(&StatusError{a.status, a.issues}, fx)

		return
	case a.status == Ydb.StatusIds_BAD_SESSION: // Q2: another stream has it
		c.disconnect(&StatusError{a.status, a.issues}, fx)

		return
	}

	c.finish(call)
	if call.renewal {
		c.renewal = nil
	}
	var err error
	if a.status != Ydb.StatusIds_SUCCESS {
		err = &StatusError{a.status, a.issues}
	}
	if call.Kind == Describe {
		c.described(call, a, fx)
	}
	if call.Kind == Acquire {
		c.acquired(call, a, err, fx)

		return
	}
	if !call.abandoned {
		fx.do(Finished{Call: call, Err: err, Description: a.description})
	}
}

// acquired is the result of an Acquire.
func (c *Core) acquired(call *Call, a answer, err error, fx *Effects) {
	switch {
	case err != nil:
		c.refused(call, a, fx)
	case !a.acquired:
		err = ErrNotAcquired
	case call.abandoned:
		if !call.revoked && c.leases[call.name] == nil && len(c.acquires[call.name]) == 0 {
			c.giveBack(call.name, fx)
		}
	}
	if call.abandoned {
		return
	}
	var lease *Lease
	if err == nil {
		lease = c.lease(call)
	}
	fx.do(Finished{Call: call, Err: err, Lease: lease})
}

// refused deals with what an Acquire leaves behind that failed: nothing, if the node refused it; perhaps a place in
// the queue, if it did not say so; and if it would have overridden an abandoned one, that one is in the queue again.
func (c *Core) refused(call *Call, a answer, fx *Effects) {
	switch a.status {
	case Ydb.StatusIds_ABORTED, Ydb.StatusIds_NOT_FOUND, Ydb.StatusIds_PRECONDITION_FAILED,
		Ydb.StatusIds_BAD_REQUEST, Ydb.StatusIds_UNAUTHORIZED:
		if of := c.acquires[call.name]; len(of) > 0 && of[len(of)-1].abandoned {
			c.revoke(of[len(of)-1], fx)
		}
	default:
		if c.leases[call.name] == nil && len(c.acquires[call.name]) == 0 && !call.revoked {
			c.giveBack(call.name, fx)
		}
	}
}

// lease returns the lease that the granted call gives: the one that was held before, if there was one (Q6).
func (c *Core) lease(call *Call) *Lease {
	if l := c.leases[call.name]; l != nil {
		return l
	}
	l := &Lease{Name: call.name, since: call.req, place: len(c.held)}
	c.leases[l.Name] = l
	c.held = append(c.held, l)

	return l
}

// endLease ends a lease that has not ended.
func (c *Core) endLease(l *Lease, cause error, fx *Effects) {
	l.ended = true
	delete(c.leases, l.Name)
	last := len(c.held) - 1
	c.held[l.place] = c.held[last]
	c.held[l.place].place = l.place
	c.held[last] = nil
	c.held = c.held[:last]
	fx.do(EndLease{l, cause})
}

// described looks at what a description says about the session's own lease: owners are not told when their semaphore
// is deleted with force (S3).
func (c *Core) described(call *Call, a answer, fx *Effects) {
	if w := call.Watch; w != nil {
		if w.live = a.watchAdded; !w.live {
			delete(c.watches, call.req)
		}
	}
	l := c.leases[call.name]
	if l == nil || l.since > call.req {
		return
	}
	if a.status == Ydb.StatusIds_NOT_FOUND {
		c.endLease(l, ErrDeleted, fx)

		return
	}
	if a.status != Ydb.StatusIds_SUCCESS || !call.message.GetDescribeSemaphore().GetIncludeOwners() {
		return
	}
	for _, o := range a.description.GetOwners() {
		if o.GetSessionId() == c.id {
			l.OrderID = o.GetOrderId()

			return
		}
	}
	c.endLease(l, ErrDeleted, fx)
}

// nothing is the semaphore that is asked for when the session holds none. That it does not exist is an answer too.
const nothing = "tenure"

// renew asks the node for a proof, when it is due, and leaves a stream over which none comes.
func (c *Core) renew(fx *Effects) {
	if c.renewal != nil {
		if c.now >= c.renewal.sentAt.Add(c.silence()) {
			c.disconnect(errSilent, fx)
		}

		return
	}
	if c.now < c.proof.due() {
		return
	}
	m := &pb.SessionRequest_DescribeSemaphore{Name: nothing}
	if len(c.held) > 0 {
		c.turn++
		m.Name, m.IncludeOwners = c.held[c.turn%len(c.held)].Name, true
	}
	c.renewal = NewDescribe(m)
	c.renewal.renewal, c.renewal.abandoned = true, true
	c.begin(c.renewal, fx)
}

func (c *Core) dropRenewal() {
	if c.renewal != nil {
		c.finish(c.renewal)
		c.renewal = nil
	}
}
