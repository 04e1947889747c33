package node

import "slices"

// Snapshot is the state of a node at one moment, for people. Its byte slices are the node's own: not to be changed.
type Snapshot struct {
	Sessions   []SessionState // in no order
	Semaphores []Description  // in no order; owners and waiters are those of a Describe that asks for both
}

// SessionState is a session at the moment of a Snapshot.
type SessionState struct {
	Session     uint64
	Attached    bool
	Description string
}

// Snapshot copies what may change and shares what can't, into few slices: its caller, who keeps others from the node
// meanwhile, can leave the rest of the work for later.
func (n *Node) Snapshot() *Snapshot {
	s := &Snapshot{
		Sessions:   make([]SessionState, 0, len(n.sessions)),
		Semaphores: make([]Description, 0, len(n.semaphores)),
	}
	for id, session := range n.sessions {
		s.Sessions = append(s.Sessions, SessionState{id, session.stream != 0, session.description})
	}
	holders := make([]Holder, 0, len(n.links)) // of all semaphores
	for _, sem := range n.semaphores {
		d := sem.summary()
		first := len(holders)
		holders = appendHolders(holders, sem.queue.first, sem.queue.waiting)
		border := len(holders)
		holders = appendHolders(holders, sem.queue.waiting, nil)
		d.Owners, d.Waiters = slices.Clip(holders[first:border]), slices.Clip(holders[border:])
		s.Semaphores = append(s.Semaphores, d)
	}

	return s
}
