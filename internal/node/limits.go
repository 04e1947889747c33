package node

import "fmt"

// Limits bounds what a node holds. A field that is zero is not limited, beyond what the protocol limits (A5, Q4).
type Limits struct {
	Sessions   int
	Semaphores int
	Waiters    int // for one semaphore
	Data       int // bytes of the names and data of all semaphores, owners and waiters
}

// SetLimits sets the limits. A node that exceeds them keeps what it has.
func (n *Node) SetLimits(l Limits) {
	n.maxSessions, n.maxSemaphores = maxSessions, maxSemaphores
	if l.Sessions > 0 {
		n.maxSessions = min(l.Sessions, maxSessions)
	}
	if l.Semaphores > 0 {
		n.maxSemaphores = min(l.Semaphores, maxSemaphores)
	}
	n.maxWaiters, n.maxData = l.Waiters, l.Data
}

// SetFull refuses everything for which the node would need more memory or more space in the store, as OVERLOADED with
// the text as the reason. All other requests are served, among them those that remove something. An empty text ends
// this.
func (n *Node) SetFull(issue string) { n.full = issue }

// Refusals returns how many requests were refused because of the limits or SetFull.
func (n *Node) Refusals() uint64 { return n.refusals }

// The memory that sessions, semaphores and links take in a server, in addition to their text and data, in bytes. In a
// node, a semaphore takes 180 bytes, an owner 180, and a waiter 220 (BenchmarkNode_Memory). The process of a server
// grows by 450 bytes for a semaphore with its owner, because the log needs memory too.
//
// By default, a node that is at its limits of semaphores and data, and whose semaphores are all held, must fit in the
// memory for all nodes.
const (
	sessionFootprint   = 600
	semaphoreFootprint = 180
	linkFootprint      = 280
)

// leastOverhead is by how much the value of a record is longer than its text and data, at least: a checksum, and the
// shortest numbers.
const leastOverhead = 8

// Footprint estimates the memory that the node takes, in bytes.
func (n *Node) Footprint() int {
	return n.data + n.text + len(n.sessions)*sessionFootprint + len(n.semaphores)*semaphoreFootprint +
		n.links*linkFootprint
}

// RecordFootprint estimates the memory that a record takes after Load, in bytes.
func RecordFootprint(r Record) int {
	if len(r.Key) == 0 {
		return 0
	}
	switch r.Key[0] {
	case kindSession:
		return sessionFootprint + len(r.Value)
	case kindSemaphore:
		return semaphoreFootprint + max(len(r.Value)-leastOverhead, 0)
	case kindLink:
		return linkFootprint + max(len(r.Value)-leastOverhead, 0)
	default:
		return 0
	}
}

// room returns the reason why the node cannot take in something new with this much data, if there is one.
func (n *Node) room(data int) fault {
	switch {
	case n.full != "":
		n.refusals++

		return fault{Overloaded, n.full}
	case n.maxData > 0 && data > 0 && n.data+data > n.maxData:
		n.refusals++

		return fault{PreconditionFailed, fmt.Sprintf("The node has no room for more data (its limit is %d bytes)", n.maxData)}
	default:
		return fault{}
	}
}

// roomToReplace is room for new data in the place of old data. Data that is not larger is always accepted.
func (n *Node) roomToReplace(old, data []byte) fault {
	if len(data) <= len(old) {
		return fault{}
	}

	return n.room(len(data) - len(old))
}

// roomToWait returns the reason why the semaphore cannot take in another waiter, if there is one.
func (n *Node) roomToWait(s *semaphore) fault {
	if n.maxWaiters > 0 && s.queue.waiters.number >= n.maxWaiters {
		n.refusals++

		return fault{Overloaded, fmt.Sprintf("Too many waiters for the semaphore (the limit is %d)", n.maxWaiters)}
	}

	return fault{}
}

// setData changes the data of a link.
func (n *Node) setData(l *link, data []byte) {
	n.data += len(data) - len(l.data)
	l.semaphore.queue.setData(l, data)
}
