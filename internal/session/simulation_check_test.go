package session_test

import (
	"errors"
	"fmt"
)

// believes reports whether the client's user thinks that the session lives: while its machine runs, because nothing
// has ended it; else by the deadline, which is all that a process has that wakes up.
func (c *client) believes() bool {
	return !c.over && !c.killed && (!c.asleep || c.local(c.w.now) < c.core.Deadline())
}

// check is what must hold at every moment:
//
//	V1 A lease that is believed in is the session's own at the node, with that count.
//	V2 What is believed of a semaphore, by all together, is within its limit.
//	V3 A session whose deadline has not come is alive at the node.
//	V4 The token of a lease is the order id at the node.
func (w *world) check() {
	for _, name := range names {
		w.checkSemaphore(name)
	}
	for _, c := range w.clients {
		if c.killed || c.id == 0 || c.epoch != w.server.epoch {
			continue
		}
		if c.local(w.now) < c.core.Deadline() && !w.server.alive(c.id) {
			w.fail("V3: session %d of %v has expired at the node, %v before its deadline", c.id, c,
				c.core.Deadline().Sub(c.local(w.now)))
		}
	}
}

func (w *world) checkSemaphore(name string) {
	free := limits[name]
	for _, c := range w.clients {
		if !c.believes() {
			continue
		}
		for _, b := range c.beliefs {
			if b.ended || b.lease.Name != name || b.generation != w.server.generation(name) {
				continue
			}
			o, held := w.server.holds(name, c.id)
			if !held || o.Count < b.count {
				w.fail("V1: %v (session %d) believes in %d of %q, of which the node knows %+v", c, c.id, b.count, name, o)
			}
			if t := b.lease.OrderID; t != 0 && t != o.OrderID {
				w.fail("V4: %v has token %d for order id %d of %q", c, t, o.OrderID, name)
			}
			if b.count > free {
				w.fail("V2: more than %d believed of %q", limits[name], name)
			}
			free -= b.count
		}
	}
}

// checkSettled is what must hold when everybody has let go, a while after the last fault: nobody was forgotten, and
// nothing remains for nobody.
func (w *world) checkSettled() {
	if w.server.node == nil {
		w.fail("the node is down")
	}
	var err error
	for _, name := range names {
		for _, o := range w.server.owners[name] {
			err = errors.Join(err, fmt.Errorf("session %d owns %d of %q for nobody", o.Session, o.Count, name))
		}
		for _, o := range w.server.waiters[name] {
			err = errors.Join(err, fmt.Errorf("session %d waits for %d of %q for nobody", o.Session, o.Count, name))
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
			w.fail("%v has no session in a calm world", c)
		}
		for _, call := range c.calls {
			w.fail("%v: a call of kind %d has not finished", c, call.Kind)
		}
		for _, b := range c.beliefs {
			if !b.ended {
				w.fail("%v still has %q", c, b.lease.Name)
			}
		}
	}
}
