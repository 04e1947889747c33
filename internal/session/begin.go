package session

import (
	"slices"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"

	"tenure/internal/clock"
)

// Begin sends a call, immediately if a stream is attached, otherwise once one is. A Release ends its lease immediately.
func (c *Core) Begin(now clock.Instant, call *Call, fx *Effects) {
	defer c.wake(fx)
	if !c.enter(now, fx) || c.cause != nil {
		fx.finish(Finished{Call: call, Err: ErrOver})

		return
	}
	if call.Kind == Release {
		if call.lease.ended {
			fx.finish(Finished{Call: call})

			return
		}
		c.endLease(call.lease, ErrReleased, fx)
	}
	c.begin(call, fx)
}

func (c *Core) begin(call *Call, fx *Effects) {
	if call.Kind == Release {
		c.override(call.name, fx)
	}
	c.lastReq++
	call.number(c.lastReq)
	c.calls.push(call)
	if call.Kind == Acquire {
		of := c.acquires[call.name]
		if of == nil {
			of, c.spare = c.spare, nil
		}
		c.acquires[call.name] = append(of, call)
	}
	if call.Watch != nil {
		call.Watch.req = call.req
		c.watches[call.req] = call.Watch
	}
	if c.phase == attached && !c.postponed(call) {
		c.transmit(call, fx)
	}
}

func (c *Core) transmit(call *Call, fx *Effects) {
	call.sentAt, call.everSent, call.busy.again = c.now, true, 0
	fx.send(c.stream, call.message)
}

// override finishes the outstanding acquires of a name before a release of that name is sent. The release gives back
// whatever the node grants them, so the core does not wait for their answers: a grant would no longer be a lease.
func (c *Core) override(name string, fx *Effects) {
	for _, call := range c.acquires[name] {
		c.calls.remove(call)
		if !call.abandoned {
			fx.finish(Finished{Call: call, Err: &StatusError{Status: Ydb.StatusIds_ABORTED, Issues: overridden}})
		}
	}
	delete(c.acquires, name)
}

// overridden is the node's answer to a waiting acquire when its session sends another request for the semaphore (Q7,
// Q8).
var overridden = []*Ydb_Issue.IssueMessage{{Message: "Operation superseded by another request", Severity: 1}}

// Cancel abandons a call whose caller no longer waits for it. No Finished action follows. If the call is an acquire,
// Cancel gives back what it has acquired, or its place in the queue.
func (c *Core) Cancel(now clock.Instant, call *Call, fx *Effects) {
	defer c.wake(fx)
	if !c.enter(now, fx) || c.calls.byReq[call.req] != call {
		return
	}
	call.abandoned = true
	delete(c.watches, call.req)
	if !call.everSent && call.Kind != Release { // a Release has ended its lease, so the node has to know of it
		c.finish(call)
	}
	if call.Kind == Acquire && (call.everSent || len(c.acquires[call.name]) > 0) {
		c.disown(call.name, 0, fx)
	}
}

// disown releases what the session owns or waits for under the name. It does nothing if there is a lease of that name,
// or if the newest acquire of that name is still wanted and its req_id is above behind: that acquire takes over what
// the older ones have (Q6, Q7). If the node refuses it, refused calls disown again.
func (c *Core) disown(name string, behind uint64, fx *Effects) {
	if c.leases[name] != nil {
		return
	}
	if of := c.acquires[name]; len(of) > 0 && of[len(of)-1].req > behind && !of[len(of)-1].abandoned {
		return
	}
	r := release(name)
	r.abandoned = true
	c.begin(r, fx)
}

// finish removes a call from the outstanding ones.
func (c *Core) finish(call *Call) {
	c.calls.remove(call)
	if call.Kind != Acquire {
		return
	}
	of := c.acquires[call.name]
	i := slices.Index(of, call)
	switch {
	case len(of) == 1:
		delete(c.acquires, call.name)
		of[0] = nil
		c.spare = of[:0]
	case i == 0: // the usual case: answers arrive in the order of the calls
		of[0] = nil
		c.acquires[call.name] = of[1:]
	default:
		c.acquires[call.name] = slices.Delete(of, i, i+1)
	}
}

// repeat sends the unanswered calls over a new stream (docs/protocol.md, C3).
func (c *Core) repeat(fx *Effects) {
	c.again = 0
	var next *Call
	for call := c.calls.first; call != nil; call = next {
		next = call.after
		switch {
		case call.abandoned && call.Kind != Release:
			c.finish(call) // if it is an Acquire, a lease or a newer Acquire of the same name covers what it may have got
		case call.everSent && !call.repeatable():
			c.finish(call)
			fx.finish(Finished{Call: call, Err: ErrUnknown})
		default:
			c.transmit(call, fx)
		}
	}
}

// answered handles the answer to a call.
func (c *Core) answered(a answer, fx *Effects) {
	call := c.calls.byReq[a.req]
	if call == nil || call.sentAt == 0 {
		return
	}
	switch {
	case a.fromNode():
		c.proved(call.sentAt)
	case a.status == Ydb.StatusIds_SESSION_EXPIRED: // Q2
		c.end(&StatusError{a.status, a.issues}, fx)

		return
	case call.renewal && a.status == Ydb.StatusIds_UNAUTHORIZED: // Z2
		c.unproved(&StatusError{a.status, a.issues})

		return
	case call.renewal && a.status == Ydb.StatusIds_OVERLOADED && c.now < c.proof.due().Add(c.quarter()):
		c.dropRenewal() // D6: another stream would add to the load, so the core attaches again only if this happens twice
		c.notBefore = c.now.Add(c.quarter())

		return
	case a.busy() && !call.renewal && c.postpone(call):
		return
	case a.status == Ydb.StatusIds_BAD_SESSION, // Q2: another stream serves the session
		call.renewal,                           // a front server has answered, not the node
		call.Kind == Release && !a.isRefusal(): // the lease may not be released yet: repeat it over another stream
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
	if a.status == Ydb.StatusIds_NOT_FOUND || call.Kind == Delete && err == nil {
		c.deleted(call, fx)
	}
	switch call.Kind {
	case Acquire:
		c.acquired(call, a, err, fx)

		return
	case Describe:
		c.described(call, a, fx)
	}
	if !call.abandoned {
		fx.finish(Finished{Call: call, Err: err, Description: a.description})
	}
}

// acquired handles the answer to an Acquire.
func (c *Core) acquired(call *Call, a answer, err error, fx *Effects) {
	var lease *Lease
	switch {
	case err != nil:
		c.refused(call, a, fx)
	case !a.acquired:
		err = ErrNotAcquired
	case call.abandoned:
		c.disown(call.name, 0, fx)
	default:
		lease = c.lease(call)
	}
	if !call.abandoned {
		fx.finish(Finished{Call: call, Err: err, Lease: lease})
	}
}

// refused cleans up what a failed Acquire may leave at the node. An earlier, cancelled acquire may still be granted or
// queued: the failed one was meant to take it over, but a request for a higher count does not do so (Q6, Q7). The
// failed acquire itself may also be granted or queued, if its status does not say what the node has done.
func (c *Core) refused(call *Call, a answer, fx *Effects) {
	switch {
	case a.status == Ydb.StatusIds_NOT_FOUND || a.status == Ydb.StatusIds_ABORTED: // nothing is left
	case a.isRefusal():
		c.disown(call.name, 0, fx)
	default:
		c.disown(call.name, call.req, fx)
	}
}

// lease returns the lease of the granted call, which is the existing one if the session holds the semaphore already
// (Q6).
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
	fx.endLease(l, cause)
}

// loseLease ends the lease of a semaphore that was deleted. The semaphore may have been created again since, and an
// acquire that was cancelled while there was a lease may wait for it. disown takes that one out of the queue.
func (c *Core) loseLease(l *Lease, fx *Effects) {
	c.endLease(l, ErrDeleted, fx)
	c.disown(l.Name, 0, fx)
}

// deleted handles an answer that shows that the call's semaphore did not exist when the node answered.
func (c *Core) deleted(call *Call, fx *Effects) {
	if l := c.leases[call.name]; l != nil && l.since <= call.req {
		c.loseLease(l, fx)
	}
}

// described handles the answer to a Describe. It checks the session's own lease against the description, because the
// node does not notify the owners of a semaphore that is deleted with force (S3).
func (c *Core) described(call *Call, a answer, fx *Effects) {
	if w := call.Watch; w != nil {
		if w.live = a.watchAdded; !w.live {
			delete(c.watches, call.req)
		}
	}
	l := c.leases[call.name]
	if l == nil || l.since > call.req || a.status != Ydb.StatusIds_SUCCESS ||
		!call.message.GetDescribeSemaphore().GetIncludeOwners() {
		return
	}
	var order uint64
	for _, o := range a.description.GetOwners() {
		if o.GetSessionId() == c.id {
			order = o.GetOrderId()
		}
	}
	if order == 0 || l.OrderID != 0 && l.OrderID != order { // a different order id: granted after the deletion
		c.loseLease(l, fx)

		return
	}
	l.OrderID = order
}

// nothing is the semaphore that a renewal describes when the session holds no lease. It need not exist: NOT_FOUND is a
// proof as well.
const nothing = "tenure"

// renew sends the node a renewal when one is due, and leaves the stream when the answer is overdue.
func (c *Core) renew(fx *Effects) {
	if c.renewal != nil {
		if c.now >= c.renewal.sentAt.Add(c.silence()) {
			c.disconnect(errSilent, fx)
		}

		return
	}
	if c.now < c.renewAt() {
		return
	}
	m := &pb.SessionRequest_DescribeSemaphore{Name: nothing}
	if len(c.held) > 0 {
		c.turn++
		l := c.held[c.turn%len(c.held)]
		// Without the owners the node still reports a semaphore that no longer exists, but not one that was made again.
		m.Name, m.IncludeOwners = l.Name, l.oversized < maxOversized
	}
	c.renewal = NewDescribe(m)
	c.renewal.renewal, c.renewal.abandoned = true, true
	c.begin(c.renewal, fx)
}

// renewAt returns the instant at which the next renewal is due.
func (c *Core) renewAt() clock.Instant { return max(c.proof.due(), c.notBefore) }

func (c *Core) dropRenewal() {
	if c.renewal != nil {
		c.finish(c.renewal)
		c.renewal = nil
	}
}
