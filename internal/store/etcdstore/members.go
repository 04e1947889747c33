package etcdstore

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"tenure/internal/ownership"
	"tenure/internal/store"
)

// members are the servers that are registered.
type members struct {
	follower *follower
	self     string // the id of this server
	doubt    func() // called when this server does not seem to be registered

	mu   sync.Mutex // guards byID
	byID map[string]registeredMember
}

// registeredMember is a member and the create revision of its key.
type registeredMember struct {
	store.Member

	create int64
}

func newMembers(e *etcd, self string, doubt func()) *members {
	m := &members{self: self, doubt: doubt, byID: make(map[string]registeredMember)}
	m.follower = newFollower(e, ownership.ServerKeys, ownership.ServerKeysEnd, m.take)

	return m
}

func (m *members) take(all bool, kvs []ownership.KV) {
	m.mu.Lock()
	defer m.mu.Unlock()
	missing := all
	if all {
		clear(m.byID)
	}
	for _, kv := range kvs {
		id := strings.TrimPrefix(kv.Key, ownership.ServerKeys)
		if kv.Create == 0 {
			delete(m.byID, id)
			missing = missing || id == m.self

			continue
		}
		m.byID[id] = registeredMember{decodeMember(kv), kv.Create}
		missing = missing && id != m.self
	}
	if missing {
		m.doubt()
	}
}

func decodeMember(kv ownership.KV) store.Member {
	var m store.Member
	_ = json.Unmarshal(kv.Value, &m) // a server of another version may say something else of itself
	m.ID = strings.TrimPrefix(kv.Key, ownership.ServerKeys)

	return m
}

// find returns the member with the id and the create revision of its key, or false.
func (m *members) find(id string) (registeredMember, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	member, ok := m.byID[id]

	return member, ok
}

// forget forgets a member whose key no longer exists.
func (m *members) forget(old registeredMember) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byID[old.ID] == old {
		delete(m.byID, old.ID)
	}
}

// Self implements store.Members.
func (s *Store) Self() store.Member { return s.self }

// Secret implements store.Members.
func (s *Store) Secret() []byte { return slices.Clone(s.secret) }

// Living implements store.Members.
func (s *Store) Living(ctx context.Context) (all []store.Member, err error) {
	err = s.reading(ctx, func(ctx context.Context) error { return s.members.follower.until(ctx, 1) })
	if err != nil {
		return nil, err
	}
	s.members.mu.Lock()
	defer s.members.mu.Unlock()
	for _, m := range s.members.byID {
		all = append(all, m.Member)
	}
	slices.SortFunc(all, func(a, b store.Member) int { return cmp.Compare(a.ID, b.ID) })

	return all, nil
}

// Member implements store.Members.
func (s *Store) Member(ctx context.Context, id string) (m store.Member, alive bool, err error) {
	err = s.reading(ctx, func(ctx context.Context) error {
		found, ok, err := s.member(ctx, id)
		m, alive = found.Member, ok

		return err
	})

	return m, alive, err
}

// member returns the member with the id. It asks etcd if it does not know that one: its watch may be slow.
func (s *Store) member(ctx context.Context, id string) (registeredMember, bool, error) {
	if m, ok := s.members.find(id); ok {
		return m, true, nil
	}
	r, err := s.etcd.read(ctx, ownership.Txn{Then: []ownership.Op{
		{Kind: ownership.Get, Key: ownership.ServerKey(id)},
	}})
	if err != nil || len(r.Gets[0]) == 0 {
		return registeredMember{}, false, err
	}
	kv := r.Gets[0][0]

	return registeredMember{decodeMember(kv), kv.Create}, true, nil
}

var _ store.Members = (*Store)(nil)
