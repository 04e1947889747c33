package node

import (
	"fmt"

	"tenure/internal/clock"
)

// Node is a coordination node. Its zero value is not usable: see New and Load. Not safe for concurrent use.
//
// Invariants, tested by check after each Apply under the build tags race and invariants:
//
//	I1 the counts of a semaphore's owners sum to its held count, which is at most its limit
//	I2 a queue is sorted by order id, owners stand before waiters, and no order id stands twice in the node
//	I3 the first waiter's count does not fit in limit - held (Q9)
//	I4 every link is found by its key, in its semaphore's queue and in its session's list, and nowhere else
//	I5 a session has a deadline exactly while no stream is attached to it (A9, A10)
//	I6 a link has a deadline exactly while it waits, and not for ever (Q5)
//	I7 an ephemeral semaphore has a link (Q11)
//	I8 only attached sessions watch, one watch a semaphore (S5)
//	I9 no id is above its counter
type Node struct {
	now        clock.Instant
	last       counters
	sessions   map[uint64]*session
	streams    map[StreamID]*session // the attached ones
	semaphores map[string]*semaphore
	links      map[linkKey]*link
	deadlines  deadlines

	watchesEver uint64 // gives watches their order
	applied     uint64 // spaces out check

	maxSessions, maxSemaphores int
}

// New returns a node in which nothing has happened yet.
func New() *Node {
	return &Node{
		sessions:   make(map[uint64]*session),
		streams:    make(map[StreamID]*session),
		semaphores: make(map[string]*semaphore),
		links:      make(map[linkKey]*link),

		maxSessions: maxSessions, maxSemaphores: maxSemaphores,
	}
}

// Apply advances the node to now, then by one request, and adds to fx what the caller owes. A now before that of an
// earlier call counts as that one. What is due at now happens before the request: a late request can't save a session
// that is over.
//
// Things due at one instant happen sessions first, by id, then waiters, by order id: who could go on at that instant
// is granted rather than timed out.
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
		n.expireEarly(r.Session, fx)
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
	case Tick:
	default:
		panic(fmt.Sprintf("node: unknown request %T", req))
	}

	fx.Wake = n.deadlines.next()
	n.maybeCheck()
}

// fault is why a request is refused; the zero value: it is not.
type fault struct {
	status Status
	issue  string
}

// result gives the answer's head: the fault, or success.
func (f fault) result(req uint64) Result {
	if f.status == 0 {
		return Result{Req: req, Status: Success}
	}

	return Result{Req: req, Status: f.status, Issue: f.issue}
}
