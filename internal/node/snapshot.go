package node

import (
	"slices"

	"tenure/internal/clock"
)

// Snapshot is the state of a node at one moment, for display. It shares its byte slices with the node: do not modify
// them.
type Snapshot struct {
	Sessions   []SessionState // in no particular order
	Semaphores []Description  // in no particular order; with owners and waiters
	Lost       uint64         // set by the caller: grants that have no date are older, in milliseconds since 1970
}

// SessionState is the state of a session in a Snapshot.
type SessionState struct {
	Session     uint64
	Attached    bool
	Description string
	Ends        clock.Instant // of a detached session, unless a client attaches to it before; otherwise 0
}

// Snapshot copies the state that can change and shares the rest, with few allocations. The caller needs exclusive
// access to the node only during this call, and can process the result later.
func (n *Node) Snapshot() *Snapshot {
	s := &Snapshot{
		Sessions:   make([]SessionState, 0, len(n.sessions)),
		Semaphores: make([]Description, 0, len(n.semaphores)),
	}
	for id, session := range n.sessions {
		state := SessionState{Session: id, Attached: session.stream != 0, Description: session.description}
		if !state.Attached {
			state.Ends = session.deadline.at
		}
		s.Sessions = append(s.Sessions, state)
	}
	holders := make([]Holder, 0, n.links) // of all semaphores
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
