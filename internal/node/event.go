package node

import (
	"time"

	"tenure/internal/clock"
)

// EventKind says what happened in an Event.
type EventKind uint8

// The kinds of events. Every Granted is followed by exactly one Ended with the same order id, unless the node is lost.
// Every Waiting is followed by exactly one Granted or GaveUp.
const (
	Granted      EventKind = iota + 1 // a link has become an owner
	Ended                             // an owner's link has ended
	Shrunk                            // an owner has given back a part of its count (Q6)
	Waiting                           // an acquire has joined the queue
	GaveUp                            // a waiter's link has ended, or an acquire was not granted immediately (NotNow)
	SessionEnded                      // a session has ended; its links have ended before
	Destroyed                         // a semaphore was deleted with force; its links have ended before
)

// Cause says why a link or a session has ended.
type Cause uint8

// The causes of Ended, GaveUp and SessionEnded.
const (
	ByRelease    Cause = iota + 1 // the session released the semaphore, or gave up its place in the queue (Q8)
	ByStop                        // SessionStop (A14)
	ByExpiry                      // the session's timeout (A12)
	ByLifeline                    // Expire: no process is left that could come back to the session
	ByOperator                    // Expire, by a person
	ByDelete                      // the semaphore was deleted with force (S3)
	ByDrop                        // the coordination node was dropped (N3)
	ByTimeout                     // the timeout of the acquire (Q5)
	NotImmediate                  // the timeout of the acquire is 0, and it could not be granted immediately (Q5, Q7)
)

// Event reports a change of owners or waiters to those who watch the node from outside: an audit log, and metrics. It
// shares its data with the node: do not modify it.
type Event struct {
	Kind      EventKind
	Cause     Cause // of Ended, GaveUp and SessionEnded
	AtLeast   bool  // Took is a lower limit, because the node was loaded meanwhile
	Session   uint64
	Semaphore string
	OrderID   uint64 // 0 if the acquire never joined the queue
	Count     uint64 // held or asked for; of Shrunk: what is left
	Limit     uint64 // of the semaphore
	Data      []byte // of the link
	At        clock.Instant
	Took      time.Duration // of Granted and GaveUp: the wait; of Ended: how long the semaphore was held
}

// Listen makes the node add events to the effects of later calls to Apply.
func (n *Node) Listen() { n.listening = true }

// SetDate tells the node the time of the wall clock, in milliseconds since 1970. Links that are written later contain
// it. Nothing that the node does depends on it.
func (n *Node) SetDate(unixMillis uint64) { n.date = unixMillis }

// Ages are instants from which the ages of the oldest waiters and owners follow. An instant is zero if there is none.
// For a node that was loaded, waits and grants from before count from the instant at which it was lost.
type Ages struct {
	Wait     clock.Instant // of the first waiter among those of all semaphores
	WaitDate uint64        // when it joined the queue, in milliseconds since 1970; 0: unknown
	Hold     clock.Instant // when the owner was granted that has held a semaphore for the longest time
	Detached clock.Instant // since then a detached session has held semaphores, longer than any other
}

// Ages takes the same time for a large node as for a small one.
func (n *Node) Ages() Ages {
	var a Ages
	if w := n.waits.first; w != nil {
		a.Wait, a.WaitDate = w.at, w.since
	}
	if h := n.holds.first; h != nil {
		a.Hold = h.at
	}
	if d := n.absent.first; d != nil {
		a.Detached = d.at
	}

	return a
}

// Sizes are the numbers of things in a node.
type Sizes struct{ Sessions, Attached, Semaphores, Owners, Waiters int }

// Sizes takes the same time for a large node as for a small one.
func (n *Node) Sizes() Sizes {
	return Sizes{
		Sessions: len(n.sessions), Attached: len(n.streams), Semaphores: len(n.semaphores),
		Owners: n.holds.length, Waiters: n.waits.length,
	}
}

// Drop adds the events of the end of all links to fx. The node is about to be dropped, and must not be used any more.
func (n *Node) Drop(fx *Effects) {
	for l := n.holds.first; l != nil; l = l.next {
		n.emit(Event{Kind: Ended, Cause: ByDrop}, l.link, fx)
	}
	for l := n.waits.first; l != nil; l = l.next {
		n.emit(Event{Kind: GaveUp, Cause: ByDrop}, l.link, fx)
	}
}

// emit completes the event about a link and adds it to fx, if anyone listens.
func (n *Node) emit(e Event, l *link, fx *Effects) {
	if !n.listening {
		return
	}
	e.Session, e.Semaphore, e.OrderID, e.Count, e.Limit = l.session.id, l.semaphore.name, l.orderID, l.count,
		l.semaphore.limit
	e.Data, e.At, e.Took, e.AtLeast = l.data, n.now, n.now.Sub(l.age.at), l.loaded
	fx.Events = append(fx.Events, e)
}

// emitPlain adds an event that is not about a link.
func (n *Node) emitPlain(e Event, fx *Effects) {
	if n.listening {
		e.At = n.now
		fx.Events = append(fx.Events, e)
	}
}
