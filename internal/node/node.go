package node

import (
	"fmt"

	"tenure/internal/clock"
)

// Node is a coordination node. Create one with New or Load: the zero value is not usable. A Node is not safe for
// concurrent use.
//
// These invariants hold between calls to Apply. Under the build tag race or invariants, Apply checks them:
//
//	I1 the counts of a semaphore's owners add up to its held count, which is at most its limit
//	I2 a queue is sorted by order id, owners come before waiters, and no two links in the node have the same order id
//	I3 the first waiter's count does not fit in limit - held (Q9), or the node is frozen and nobody owns anything
//	I4 every link is in its semaphore's queue and its session's list, and nowhere else; links is their number
//	I5 a session has a deadline if and only if no stream is attached to it (A9, A10)
//	I6 a link has a deadline if and only if it is a waiter and its timeout is not Forever (Q5)
//	I7 an ephemeral semaphore has at least one link (Q11)
//	I8 only attached sessions have watches, at most one per semaphore (S5)
//	I9 no id is above its counter
//	I10 waits has the waiters, holds the owners, and absent the detached sessions that own something
//	I11 a queue's numbers and bytes of owners and waiters are those of its links; data and text are those of all
type Node struct {
	now        clock.Instant
	last       counters
	sessions   map[uint64]*session
	streams    map[StreamID]*session // only streams that a session is attached to
	semaphores map[string]*semaphore
	links      int // number of all
	deadlines  deadlines

	waits, holds, absent ages   // waiters, owners, and detached sessions that own something
	date                 uint64 // see SetDate
	listening            bool   // see Listen

	watchesEver uint64 // number of watches ever registered, to order them
	applied     uint64 // number of calls to maybeCheck

	data, text int // bytes of names and data; of the descriptions and keys of sessions

	maxSessions, maxSemaphores, maxWaiters, maxData int
	full                                            string // why nothing new is accepted; empty: it is
	frozen                                          bool   // grants nothing, see Thaw
	answerRoom                                      int
	refusals                                        uint64 // because of Limits or SetFull
}

// New returns an empty node.
func New() *Node {
	return &Node{
		sessions:   make(map[uint64]*session),
		streams:    make(map[StreamID]*session),
		semaphores: make(map[string]*semaphore),

		maxSessions: maxSessions, maxSemaphores: maxSemaphores, answerRoom: maxAnswer,
	}
}

// Apply advances the node to now, handles one request, and adds the effects of both to fx. If now is earlier than in a
// previous call, the time of that call applies instead. Deadlines that are due at now take effect before the request,
// so a late request cannot save a session that has expired.
//
// Of the deadlines at the same instant, those of sessions come first, by session id, then those of waiters, by order
// id. A waiter that becomes eligible at the instant of its own deadline is therefore granted, not timed out.
func (n *Node) Apply(now clock.Instant, req Request, fx *Effects) {
	n.now = max(n.now, now)
	n.expire(fx)

	switch r := req.(type) {
	case Attach:
		n.attach(r, fx)
	case Detach:
		n.detach(r.Stream, fx)
	case Abandon:
		n.abandon(r.Stream, fx)
	case Expire:
		n.expireEarly(r, fx)
	case Stop:
		n.stop(r, fx)
	case Acquire:
		n.acquire(r, fx)
	case Release:
		n.release(r, fx)
	case Create:
		n.create(r, fx)
	case Update:
		n.update(r, fx)
	case Delete:
		n.delete(r, fx)
	case Describe:
		n.describe(r, fx)
	case Thaw:
		n.thaw(fx)
	case Tick:
	default:
		panic(fmt.Sprintf("node: unknown request %T", req))
	}

	fx.Wake = n.deadlines.next()
	n.maybeCheck()
}

// fault is the reason why a request is refused. The zero value means that it is not refused.
type fault struct {
	status Status
	issue  string
}

// result returns the Result of the request with the number req: the fault, or success.
func (f fault) result(req uint64) Result {
	if f.status == 0 {
		return Result{Req: req, Status: Success}
	}

	return Result{Req: req, Status: f.status, Issue: f.issue}
}
