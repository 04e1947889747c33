package node

// Check panics if an invariant of the node is broken. Apply does it by itself under race || invariants.
func (n *Node) Check() { n.check() }
