package session_test

import (
	"errors"
	"fmt"
)

// considersAlive reports whether the client still treats its session as alive. While its machine runs, it does so until
// something ends the session. While its machine is suspended, only the deadline counts, because that is the first thing
// a process checks when it wakes up.
func (c *client) considersAlive() bool {
	return !c.over && !c.killed && (!c.asleep || c.local(c.w.now) < c.core.Deadline())
}

// check checks what must hold at every moment:
//
//	V1 If a client treats a lease as held, its session owns the semaphore at the node, with at least that count.
//	V2 The counts that all clients together treat as held are within the semaphore's limit.
//	V3 A session whose deadline has not passed is alive at the node.
//	V4 The token of a lease is its order id at the node.
//	V5 A session that exists ends at its deadline, or because it was closed or does not exist any longer. A refusal
//	   that says nothing about the session does not end it earlier, and is then the reason (see checkCause).
func (w *world) check() {
	for _, name := range names {
		w.checkSemaphore(name)
	}
	for _, c := range w.clients {
		if c.ends && w.calm && !c.killed && !c.closed {
			c.checkEndingLimit()
		}
		if c.killed || c.id == 0 || c.epoch != w.server.epoch {
			continue
		}
		if c.local(w.now) < c.core.Deadline() && !w.server.alive(c.id) {
			w.fail("V3: session %d of %v has expired at the node %v before its deadline", c.id, c,
				c.core.Deadline().Sub(c.local(w.now)))
		}
	}
}

func (w *world) checkSemaphore(name string) {
	free := limits[name]
	for _, c := range w.clients {
		if !c.considersAlive() {
			continue
		}
		for _, b := range c.claims {
			if b.ended || b.lease.Name != name || b.generation != w.server.generation(name) {
				continue
			}
			o, held := w.server.holds(name, c.id)
			if !held || o.Count < b.count {
				w.fail("V1: %v (session %d) treats %d of %q as held, but the node has %+v", c, c.id, b.count, name, o)
			}
			if t := b.lease.OrderID; t != 0 && t != o.OrderID {
				w.fail("V4: %v has token %d of %q, but its order id is %d", c, t, name, o.OrderID)
			}
			if b.count > free {
				w.fail("V2: clients treat more than %d of %q as held", limits[name], name)
			}
			free -= b.count
		}
	}
}

// checkSettled checks what must hold some time after the last fault, when all clients have released their leases: every
// call has finished, and the node holds nothing that no client wants.
func (w *world) checkSettled() {
	if w.server.node == nil {
		w.fail("the node is down")
	}
	var err error
	for _, name := range names {
		for _, o := range w.server.owners[name] {
			err = errors.Join(err, fmt.Errorf("session %d still owns %d of %q", o.Session, o.Count, name))
		}
		for _, o := range w.server.waiters[name] {
			err = errors.Join(err, fmt.Errorf("session %d still waits for %d of %q", o.Session, o.Count, name))
		}
	}
	if err != nil {
		w.fail("%v", err)
	}
	for _, c := range w.clients {
		if c.over || c.killed || c.closed {
			continue
		}
		if c.local(w.now) >= c.core.Deadline() {
			w.fail("%v has lost its session although there are no more faults", c)
		}
		for _, call := range c.calls {
			w.fail("%v: a call of kind %d has not finished", c, call.Kind)
		}
		for _, b := range c.claims {
			if !b.ended {
				w.fail("%v still holds %q", c, b.lease.Name)
			}
		}
	}
}
