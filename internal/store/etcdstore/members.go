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

	mu   sync.Mutex // guards byID
	byID map[string]store.Member
}

func newMembers(e *etcd) *members {
	m := &members{byID: make(map[string]store.Member)}
	m.follower = newFollower(e, ownership.ServerKeys, ownership.ServerKeys[:len(ownership.ServerKeys)-1]+"0", m.take)

	return m
}

func (m *members) take(all bool, kvs []ownership.KV) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if all {
		clear(m.byID)
	}
	for _, kv := range kvs {
		id := strings.TrimPrefix(kv.Key, ownership.ServerKeys)
		if kv.Create == 0 {
			delete(m.byID, id)

			continue
		}
		var member store.Member
		_ = json.Unmarshal(kv.Value, &member) // a server of another version may say something else of itself
		member.ID = id
		m.byID[id] = member
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
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b store.Member) int { return cmp.Compare(a.ID, b.ID) })

	return all, nil
}

// Member implements store.Members.
func (s *Store) Member(ctx context.Context, id string) (store.Member, bool, error) {
	err := s.reading(ctx, func(ctx context.Context) error { return s.members.follower.until(ctx, 1) })
	if err != nil {
		return store.Member{}, false, err
	}
	s.members.mu.Lock()
	defer s.members.mu.Unlock()
	m, ok := s.members.byID[id]

	return m, ok, nil
}

var _ store.Members = (*Store)(nil)
