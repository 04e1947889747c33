package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"tenure/internal/ownership"
	"tenure/internal/store"
)

// Release implements store.Moves.
func (s *Store) Release(ctx context.Context, space store.Space, to string) error {
	end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := s.bound(ctx)
	defer cancel()
	o := s.owner(space)
	if o == nil {
		return nil
	}
	err = o.release(ctx, to)
	s.mu.Lock()
	if s.owners[space] == o {
		delete(s.owners, space)
	}
	s.mu.Unlock()
	if errors.Is(err, ownership.ErrReleased) || store.ClaimOver(err) {
		return nil
	}

	return fmt.Errorf("release space %d: %w", space, err)
}

// Leave implements store.Moves.
func (s *Store) Leave(ctx context.Context) error {
	return s.reading(ctx, s.registration.leave)
}

// Remove implements store.Moves.
func (s *Store) Remove(ctx context.Context, id string) (was bool, err error) {
	err = s.reading(ctx, func(ctx context.Context) error {
		m, ok, err := s.member(ctx, id)
		if !ok || err != nil {
			return err
		}
		was, err = s.remove(ctx, m)

		return err
	})

	return was, err
}

// remove removes the registration of a server, unless it has registered again since.
func (s *Store) remove(ctx context.Context, m registeredMember) (was bool, err error) {
	key := ownership.ServerKey(m.ID)
	r, err := s.etcd.read(ctx, ownership.Txn{ // an earlier attempt that was carried out makes no difference
		If:   []ownership.Compare{{Key: key, Create: true, Revision: m.create}},
		Then: []ownership.Op{{Kind: ownership.Delete, Key: key}},
		Else: []ownership.Op{{Kind: ownership.Get, Key: key}},
	})
	if err != nil {
		return false, fmt.Errorf("remove the registration of server %q: %w", m.ID, err)
	}
	if !r.Succeeded && len(r.Gets[0]) > 0 {
		return false, nil
	}
	s.removed.add(m.ID)
	s.members.forget(m)

	return r.Succeeded, nil
}

// succeed removes the registrations of servers that others reach at the address of this one. They are those of its
// predecessors: two servers cannot have the same address. If they have nevertheless, the other one registers again.
func (s *Store) succeed(ctx context.Context) error {
	if s.self.At() == "" {
		return nil
	}
	r, err := s.etcd.read(ctx, ownership.Txn{Then: []ownership.Op{
		{Kind: ownership.Get, Key: ownership.ServerKeys, End: ownership.ServerKeysEnd},
	}})
	if err != nil {
		return err
	}
	for _, kv := range r.Gets[0] {
		m := registeredMember{decodeMember(kv), kv.Create}
		if m.At() != s.self.At() {
			continue
		}
		if _, err := s.remove(ctx, m); err != nil {
			return err
		}
	}

	return nil
}

// maxRemoved bounds the memory for ids of servers. A server that is forgotten is waited for, as others are.
const maxRemoved = 1_000

// removed lists the servers whose registration this one has removed.
type removed struct {
	mu  sync.Mutex // guards ids
	ids []string
}

func (r *removed) add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ids) == maxRemoved {
		r.ids = r.ids[1:]
	}
	r.ids = append(r.ids, id)
}

func (r *removed) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()

	return slices.Clone(r.ids)
}

var _ store.Moves = (*Store)(nil)
