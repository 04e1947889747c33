package node

import (
	"cmp"
	"container/heap"

	"tenure/internal/clock"
)

// deadline is the instant at which a detached session expires or a waiter times out. Exactly one of session and link is
// set.
type deadline struct {
	at      clock.Instant
	pos     int // 1 + the index in the heap; 0 if the deadline is not set
	session *session
	link    *link
}

func (d *deadline) set() bool { return d != nil && d.pos > 0 }

// compare is a total order, so that the order of deadlines does not depend on how the heap was built. At the same
// instant, sessions come before waiters.
func (d *deadline) compare(e *deadline) int {
	switch {
	case d.at != e.at:
		return cmp.Compare(d.at, e.at)
	case d.session != nil && e.session != nil:
		return cmp.Compare(d.session.id, e.session.id)
	case d.session != nil:
		return -1
	case e.session != nil:
		return 1
	default:
		return cmp.Compare(d.link.orderID, e.link.orderID)
	}
}

// deadlines is a priority queue of the deadlines that are set, with the earliest first.
type deadlines struct{ heap deadlineHeap }

func (ds *deadlines) start(d *deadline, at clock.Instant) {
	d.at = at
	if d.set() {
		heap.Fix(&ds.heap, d.pos-1)

		return
	}
	heap.Push(&ds.heap, d)
}

// cancel removes a deadline. It does nothing if the deadline is not set or nil.
func (ds *deadlines) cancel(d *deadline) {
	if d.set() {
		heap.Remove(&ds.heap, d.pos-1)
	}
}

// next returns the instant of the earliest deadline, or zero if there is none.
func (ds *deadlines) next() clock.Instant {
	if len(ds.heap) == 0 {
		return 0
	}

	return ds.heap[0].at
}

// expired removes and returns the earliest deadline if it is due at now. Otherwise it returns nil.
func (ds *deadlines) expired(now clock.Instant) *deadline {
	if len(ds.heap) == 0 || ds.heap[0].at > now {
		return nil
	}

	return heap.Pop(&ds.heap).(*deadline)
}

// expire ends the sessions and the waiting acquires whose deadline is due.
func (n *Node) expire(fx *Effects) {
	for d := n.deadlines.expired(n.now); d != nil; d = n.deadlines.expired(n.now) {
		if d.session != nil {
			n.destroy(d.session, ByExpiry, fx)
		} else {
			n.giveUp(d.link, fx)
		}
	}
}

// deadlineHeap implements heap.Interface.
type deadlineHeap []*deadline

func (h deadlineHeap) Len() int           { return len(h) }
func (h deadlineHeap) Less(i, j int) bool { return h[i].compare(h[j]) < 0 }

func (h deadlineHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i+1, j+1
}

func (h *deadlineHeap) Push(x any) {
	d := x.(*deadline)
	*h = append(*h, d)
	d.pos = len(*h)
}

func (h *deadlineHeap) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	d.pos = 0

	return d
}
