package node

// Invariants says whether Apply checks the node by itself, which makes large nodes slow.
const Invariants = invariants

// Check panics if an invariant of the node is broken.
func (n *Node) Check() { n.check() }

// Limits returns how many sessions and semaphores the node may have (A5, Q4).
func (n *Node) Limits() (sessions, semaphores int) { return n.maxSessions, n.maxSemaphores }

// Limit lowers both.
func (n *Node) Limit(most int) { n.maxSessions, n.maxSemaphores = most, most }
