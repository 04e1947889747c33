package server

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dgryski/go-rendezvous"

	"tenure/internal/clock"
	"tenure/internal/store"
)

// defaultSettle is how long the servers must have been the same before nodes move. A server that fails while it starts,
// again and again, must not draw nodes to itself.
const defaultSettle = 10 * time.Second

// targets chooses the server that should serve a node, from those that are alive. All servers that see the same ones
// choose the same. If one joins, it is chosen for its share of the nodes, and nothing changes for the others. The zero
// targets chooses nobody.
type targets struct {
	settle time.Duration

	mu      sync.Mutex              // guards the following fields
	members map[string]store.Member // by address
	changes int64                   // of members
	changed clock.Instant
}

// see takes the servers that seem to be alive. It ignores them if the server with the id self is not among them: then
// this server is the one that seems to be gone.
func (t *targets) see(now clock.Instant, all []store.Member, self string) {
	members := make(map[string]store.Member)
	registered := false
	for _, m := range all {
		registered = registered || m.ID == self
		address := dialable(m)
		if address == "" || m.Leaving {
			continue
		}
		if other, ok := members[address]; !ok || m.ID == self || other.ID != self && m.ID > other.ID {
			members[address] = m
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if registered && !maps.Equal(t.members, members) {
		t.members, t.changed = members, now
		t.changes++
	}
}

// version returns a number that grows when the servers change, and whether they have been the same for long enough.
func (t *targets) version(now clock.Instant) (changes int64, settled bool) {
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.changes, t.changes > 0 && now.Sub(t.changed) >= t.settle
}

// of returns the server that should serve the node, among all but the one with the id without, or false if there is
// none.
func (t *targets) of(space store.Space, without string) (store.Member, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var addresses []string
	for address, m := range t.members {
		if m.ID != without {
			addresses = append(addresses, address)
		}
	}
	slices.Sort(addresses)
	m, ok := t.members[rendezvous.New(addresses, hash).Lookup(fmt.Sprintf("%016x", uint64(space)))]

	return m, ok
}

// hash is the same in all versions, so that servers of different versions choose the same.
func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // never fails

	return h.Sum64()
}
