package server

import (
	"errors"
	"time"

	"tenure/internal/node"
)

// idleNode is how long a node stays in memory without a session. A node with sessions stays, because their timeouts
// must take effect on time.
const idleNode = 10 * time.Minute

// errIdle ends the owner of a node that is not in use. The next caller that needs the node starts another owner.
var errIdle = errors.New("the coordination node is not in use")

// unused reports whether the node has been without a session for long and nobody is about to use it. Then it has also
// made sure that nobody joins the owner or sends it requests any more. Everything is durable, and there is nothing to
// answer.
func (o *owner) unused() bool {
	now := o.env.clock.Now()
	if now < o.idleAt {
		return false
	}
	if len(o.rest) == 0 && o.retire() {
		return true
	}
	o.idleAt = 0 // look again later
	o.wake(now, o.next.fx.Wake)

	return false
}

// retire makes join return false and the inbox refuse everything, unless there are members or requests. The detach of a
// stream is in the inbox before the stream leaves.
func (o *owner) retire() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.members) > 0 || !o.inbox.closeEmpty() {
		return false
	}
	o.members = nil

	return true
}

// closeEmpty closes the inbox if it is empty, and reports whether it is closed.
func (b *inbox) closeEmpty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.own) > 0 || b.first != nil {
		return false
	}
	b.closeLocked()

	return true
}

// unload forgets an owner that has ended because its node was not in use, and so lets its memory be collected.
func (ns *nodes) unload(o *owner) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if have := ns.owned[o.space]; have != nil && have.owner == o && !have.dropping {
		delete(ns.owned, o.space)
		ns.idle[o.space] = true
	}
}

// unloaded reports whether the node at the path was unloaded because nobody used it. So it has no sessions.
func (ns *nodes) unloaded(path string) bool {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	entry, _, ok := ns.find(path)

	return ok && ns.idle[entry.Space]
}

// use calls f with the owner of the node at the path. If that has just ended because the node was not in use, use calls
// f again with the next owner. It returns the Failure that answers an attach if there is no owner.
func (ns *nodes) use(path string, f func(*owner) error) (node.Failure, error) {
	for synced := false; ; {
		o, refusal := ns.owner(path)
		if o == nil && !synced && ns.maybeNew(refusal) {
			if refusal, synced = ns.sync(ns.ctx); synced {
				continue
			}
		}
		if o == nil {
			return refusal, nil
		}
		if err := f(o); !errors.Is(err, errIdle) {
			return node.Failure{}, err
		}
	}
}
