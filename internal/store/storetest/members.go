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
}

// Join is like Open for a server whose clients reach it at the address.
func (c *Cluster) Join(name, address string) *Member {
	m := &Member{Server: c.Open(name), self: store.Member{ID: name, Address: address}}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = append(c.members, m)

	return m
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
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	for _, other := range m.cluster.members {
		if !other.vanished {
			all = append(all, other.self)
		}
	}
	slices.SortFunc(all, func(a, b store.Member) int { return strings.Compare(a.ID, b.ID) })

	return all, nil
}

// Member implements store.Members.
func (m *Member) Member(ctx context.Context, id string) (store.Member, bool, error) {
	all, err := m.Living(ctx)
	if i := slices.IndexFunc(all, func(other store.Member) bool { return other.ID == id }); i >= 0 {
		return all[i], true, err
	}

	return store.Member{}, false, err
}

// Secret implements store.Members.
func (*Member) Secret() []byte { return []byte("the secret of all servers") }

var _ store.Members = (*Member)(nil)
