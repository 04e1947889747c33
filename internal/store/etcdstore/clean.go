package etcdstore

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/ownership"
	"tenure/internal/store"
)

// cleanPage is how many keys are deleted at once. etcd carries out nothing else meanwhile.
const cleanPage = 500

// cleanAll deletes the keys of dropped spaces. Nobody writes to them any more, so several servers may do this at once,
// and what one of them does not finish, the next one does that is started.
func (s *Store) cleanAll(ctx context.Context) {
	end := ownership.DroppedKey(1<<64-1) + "\x00"
	r, err := s.etcd.read(ctx, ownership.Txn{Then: []ownership.Op{
		{Kind: ownership.Get, Key: ownership.DroppedKeys, End: end},
	}})
	if err != nil {
		return
	}
	for _, kv := range r.Gets[0] {
		space, err := ownership.SpaceOf(kv.Key, ownership.DroppedKeys)
		if err != nil || s.clean(ctx, space) != nil {
			return
		}
	}
}

func (s *Store) clean(ctx context.Context, space store.Space) error {
	for _, span := range ownership.Leftovers(space) {
		if err := s.deleteRange(ctx, span[0], span[1]); err != nil {
			return err
		}
	}

	return s.deleteRange(ctx, ownership.DroppedKey(space), ownership.DroppedKey(space)+"\x00")
}

// deleteRange deletes the keys of a range, some at a time.
func (s *Store) deleteRange(ctx context.Context, from, end string) error {
	end = s.etcd.prefix + end
	for {
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		keys, err := s.etcd.client.Get(ctx, s.etcd.prefix+from, clientv3.WithRange(end), clientv3.WithLimit(cleanPage),
			clientv3.WithKeysOnly())
		if err == nil && len(keys.Kvs) > 0 {
			last := string(keys.Kvs[len(keys.Kvs)-1].Key) + "\x00"
			_, err = s.etcd.client.Delete(ctx, s.etcd.prefix+from, clientv3.WithRange(last))
		}
		cancel()
		if err != nil || len(keys.Kvs) == 0 {
			return err
		}
	}
}
