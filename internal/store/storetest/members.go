package storetest

import (
	"context"
	"slices"
	"strings"

	"tenure/internal/store"
)

// Member is a Server that others know. It is a store.Members too.
type Member struct {
	*Server

	self store.Member
	sees []string // names of the others that it sees; nil: all
}

// Join is like Open for a server whose clients reach it at the address.
func (c *Cluster) Join(name, address string) *Member {
	m := &Member{Server: c.Open(name), self: store.Member{ID: name, Address: address}}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = append(c.members, m)

	return m
}

// Behind sets the address for clients, which is then another one than that for servers.
func (m *Member) Behind(balancer string) {
	_, m.self.Peer, _ = strings.Cut(m.self.Address, "://")
	m.self.Address = balancer
}

// Owner returns the name of the server that owns the space, or "".
func (c *Cluster) Owner(space store.Space) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if owner := c.owners[space]; owner != nil {
		return owner.name
	}

	return ""
}

// Vanish makes the server seem to be gone. It keeps what it has claimed until another server claims it.
func (s *Server) Vanish() {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.vanished = true
}

// Return makes a server that seemed to be gone seem to be alive.
func (s *Server) Return() {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.vanished = false
}

// See makes the server see only these others, as if its watch were slow.
func (m *Member) See(names ...string) {
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	m.sees = names
}

// Seize claims the space, also from a server that lives.
func (s *Server) Seize(space store.Space) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.cluster.owners[space] = s
}

// Self implements store.Members.
func (m *Member) Self() store.Member { return m.self }

// Living implements store.Members.
func (m *Member) Living(context.Context) (all []store.Member, err error) {
	return m.living(func(other *Member) bool {
		return m.sees == nil || other == m || slices.Contains(m.sees, other.name)
	}), nil
}

func (m *Member) living(seen func(*Member) bool) (all []store.Member) {
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	for _, other := range m.cluster.members {
		if !other.vanished && seen(other) {
			m := other.self
			m.Leaving = other.leaving
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b store.Member) int { return strings.Compare(a.ID, b.ID) })

	return all
}

// Member implements store.Members.
func (m *Member) Member(_ context.Context, id string) (store.Member, bool, error) {
	all := m.living(func(*Member) bool { return true })
	if i := slices.IndexFunc(all, func(other store.Member) bool { return other.ID == id }); i >= 0 {
		return all[i], true, nil
	}

	return store.Member{}, false, nil
}

// Secret implements store.Members.
func (*Member) Secret() []byte { return []byte("the secret of all servers") }

var _ store.Members = (*Member)(nil)
