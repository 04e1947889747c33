package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"tenure/internal/node"
	"tenure/internal/ownership"
	"tenure/internal/store"
)

// Load implements store.Store. It yields the records that the space has when the loop begins. It fails if etcd is
// compacted so often that it does not have them any more.
func (s *Store) Load(ctx context.Context, space store.Space) iter.Seq2[node.Record, error] {
	return func(yield func(node.Record, error) bool) {
		err := s.reading(ctx, func(ctx context.Context) error {
			if err := space.Check(); err != nil {
				return err
			}

			return s.etcd.load(ctx, space, 0, func(r node.Record) bool { return yield(r, nil) })
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(node.Record{}, fmt.Errorf("load space %d: %w", space, err))
		}
	}
}

// errStopped reports that the loop over the records has ended early.
var errStopped = errors.New("stopped")

// reading calls read as a call of the store.
func (s *Store) reading(ctx context.Context, read func(context.Context) error) error {
	end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := s.bound(ctx)
	defer cancel()

	return read(ctx)
}

// ErrCompacted is wrapped by the error of a snapshot if etcd was compacted before everything was read. Another
// snapshot, of a later revision, may succeed.
var ErrCompacted = ownership.ErrCompacted

// Snapshot implements store.Store. It reads all spaces at one revision.
func (s *Store) Snapshot(ctx context.Context) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		err := s.reading(ctx, func(ctx context.Context) error { return s.etcd.snapshot(ctx, yield) })
		if err != nil && !errors.Is(err, errStopped) {
			yield(store.Record{}, fmt.Errorf("read all spaces: %w", err))
		}
	}
}

// load yields the records of a space at the revision or, if that is 0, now.
func (e *etcd) load(ctx context.Context, space store.Space, revision int64, yield func(node.Record) bool) error {
	if space == store.Catalog {
		return e.loadCatalog(ctx, revision, yield)
	}
	l := ownership.NewLoading(space, revision)
	for t, more := l.Next(); more; t, more = l.Next() {
		result, err := e.read(ctx, t)
		if err != nil {
			return err
		}
		records, err := l.Take(result)
		if err != nil {
			return err
		}
		for _, r := range records {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if !yield(r) {
				return errStopped
			}
		}
	}

	return nil
}

// snapshot yields the records of all spaces at the present revision. It returns errStopped if yield returns false.
func (e *etcd) snapshot(ctx context.Context, yield func(store.Record, error) bool) error {
	owners, revision, err := e.owners(ctx)
	spaces := []store.Space{store.Catalog}
	for _, o := range owners {
		if !o.Dropped {
			spaces = append(spaces, o.space)
		}
	}
	for _, space := range spaces {
		if err != nil {
			break
		}
		err = e.load(ctx, space, revision, func(r node.Record) bool {
			return yield(store.Record{Space: space, Record: r}, nil)
		})
	}
	if errors.Is(err, ownership.ErrCompacted) {
		return fmt.Errorf("%w: it was compacted before everything was read: try again, or compact it less often", err)
	}

	return err
}

// spaceOwner says who owns a space.
type spaceOwner struct {
	ownership.Owner

	space store.Space
}

// owners returns the owners of all spaces that have or had one, in the order of the spaces, and the revision at which
// they own them.
func (e *etcd) owners(ctx context.Context) (all []spaceOwner, revision int64, err error) {
	const page = 1_000
	end := ownership.OwnerKey(1<<64-1) + "\x00"
	for next := ownership.OwnerKeys; ; {
		r, err := e.read(ctx, ownership.Txn{Then: []ownership.Op{
			{Kind: ownership.Get, Key: next, End: end, Limit: page, Revision: revision},
		}})
		if err != nil {
			return nil, 0, err
		}
		if revision == 0 {
			revision = r.Revision
		}
		for _, kv := range r.Gets[0] {
			space, err := ownership.SpaceOf(kv.Key, ownership.OwnerKeys)
			if err != nil {
				return nil, 0, err
			}
			o, err := ownership.DecodeOwner(kv)
			if err != nil {
				return nil, 0, err
			}
			all = append(all, spaceOwner{o, space})
			next = kv.Key + "\x00"
		}
		if len(r.Gets[0]) < page {
			return all, revision, nil
		}
	}
}
