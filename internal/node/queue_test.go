package node_test

import (
	"testing"

	"tenure/internal/node"
)

// A semaphore with many links has an index of them, and one with few has none. TestNode_LongQueue compares the node
// with its model while a queue grows and shrinks across the lengths at which that changes.
func TestNode_LongQueue(t *testing.T) {
	t.Parallel()
	const sessions = 40
	p := newPair(t)
	for i := range sessions {
		p.apply(node.Attach{Stream: node.StreamID(i + 1), TimeoutMillis: 5_000})
	}
	p.apply(node.Create{From: from(1), Semaphore: "job", Limit: sessions / 2})
	acquire := func(i int) node.Request {
		return node.Acquire{From: from(i), Semaphore: "job", Count: 1, TimeoutMillis: 60_000}
	}
	show := node.Describe{From: from(1), Semaphore: "job", IncludeOwners: true, IncludeWaiters: true}
	for _, most := range []int{3, 12, 6, sessions} {
		for i := range most {
			p.apply(acquire(i+1), acquire(i+1), show)
		}
		for i := range most {
			p.apply(node.Release{From: from(i*7%most + 1), Semaphore: "job"}, show)
			p.node.Check()
		}
	}
	for i := range sessions {
		p.apply(acquire(i + 1))
	}
	p.restart(node.Config{})
	for i := range sessions {
		p.apply(node.Attach{Stream: node.StreamID(sessions + i + 1), Session: uint64(i + 1), TimeoutMillis: 5_000})
	}
	p.node.Check()
}
