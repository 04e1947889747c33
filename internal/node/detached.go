package node

import (
	"iter"
	"slices"

	"tenure/internal/clock"
)

// Detached describes a session that no stream is attached to.
type Detached struct {
	Session       uint64
	ProtectionKey string        // empty if the session has none
	Deadline      clock.Instant // when the session expires unless a stream attaches first (A10, A13)
}

// Sessions returns the number of sessions.
func (n *Node) Sessions() int { return len(n.sessions) }

// Session returns the id of the session that the stream is attached to, or 0 if there is none.
func (n *Node) Session(stream StreamID) uint64 {
	if s := n.streams[stream]; s != nil {
		return s.id
	}

	return 0
}

// Detached returns the session if it exists and is detached.
func (n *Node) Detached(session uint64) (Detached, bool) {
	s := n.sessions[session]
	if s == nil || s.stream != 0 {
		return Detached{}, false
	}

	return Detached{Session: s.id, ProtectionKey: s.key, Deadline: s.deadline.at}, true
}

// AllDetached yields the detached sessions in the order of their ids. The node must not change during the iteration.
func (n *Node) AllDetached() iter.Seq[Detached] {
	return func(yield func(Detached) bool) {
		ids := make([]uint64, 0, len(n.sessions)-len(n.streams))
		for id, s := range n.sessions {
			if s.stream == 0 {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		for _, id := range ids {
			if d, _ := n.Detached(id); !yield(d) {
				return
			}
		}
	}
}
