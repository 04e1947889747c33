package node

import (
	"cmp"
	"slices"
)

// A node is frozen after a restore from a backup, while clients may still hold what a lost node has granted them. It
// grants nothing then. Everybody waits in the queues, and an acquire that does not wait is refused as if somebody else
// were the owner.

// promote makes the first waiter of the semaphore an owner and returns it, or nil if nobody can become one.
func (n *Node) promote(s *semaphore) *link {
	if n.frozen {
		return nil
	}

	return s.queue.promote(s.limit)
}

// thaw handles a Thaw request.
func (n *Node) thaw(fx *Effects) {
	if !n.frozen {
		return
	}
	n.frozen = false
	all := make([]*semaphore, 0, len(n.semaphores))
	for _, s := range n.semaphores {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *semaphore) int { return cmp.Compare(a.id, b.id) })
	for _, s := range all {
		n.settle(s, event{}, fx)
	}
}
