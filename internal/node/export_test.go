package node

// Invariants reports whether Apply checks the invariants of the node, which makes large nodes slow.
const Invariants = invariants

// Check panics if an invariant of the node does not hold.
func (n *Node) Check() { n.check() }

// Limits returns the maximum numbers of sessions and semaphores in the node (A5, Q4).
func (n *Node) Limits() (sessions, semaphores int) { return n.maxSessions, n.maxSemaphores }

// Limit sets both maximums.
func (n *Node) Limit(most int) { n.maxSessions, n.maxSemaphores = most, most }
