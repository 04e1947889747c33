package node

import (
	"cmp"
	"container/heap"

	"tenure/internal/clock"
)

// deadline is when a detached session ends or a waiter gives up; just one of session and link is set.
type deadline struct {
	at      clock.Instant
	pos     int // 1 + the place in the heap; 0: not set
	session *session
	link    *link
}

func (d *deadline) set() bool { return d.pos > 0 }

// compare orders deadlines totally, so that their order does not depend on how the heap came about. At one instant
// sessions come before waiters.
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

// deadlines is all that is due, the earliest first.
type deadlines struct{ heap deadlineHeap }

func (ds *deadlines) start(d *deadline, at clock.Instant) {
	d.at = at
	if d.set() {
		heap.Fix(&ds.heap, d.pos-1)

		return
	}
	heap.Push(&ds.heap, d)
}

// cancel unsets a deadline, also one that is not set.
func (ds *deadlines) cancel(d *deadline) {
	if d.set() {
		heap.Remove(&ds.heap, d.pos-1)
	}
}

// next returns the earliest instant at which something is due, zero if nothing is.
func (ds *deadlines) next() clock.Instant {
	if len(ds.heap) == 0 {
		return 0
	}

	return ds.heap[0].at
}

// expired takes out the earliest deadline that is due at now; nil if none is.
func (ds *deadlines) expired(now clock.Instant) *deadline {
	if len(ds.heap) == 0 || ds.heap[0].at > now {
		return nil
	}

	return heap.Pop(&ds.heap).(*deadline)
}

// expire lets happen what is due.
func (n *Node) expire(fx *Effects) {
	for d := n.deadlines.expired(n.now); d != nil; d = n.deadlines.expired(n.now) {
		if d.session != nil {
			n.destroy(d.session, fx)
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
