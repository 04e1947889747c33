package etcdstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"

	"tenure/internal/node"
	"tenure/internal/ownership"
	"tenure/internal/store"
)

// catalog follows the catalog, which all servers may change.
type catalog struct {
	follower *follower
	take     func(store.Update)

	mu      sync.Mutex // guards the following fields
	version ownership.CatalogVersion
	err     error // the version cannot be read
}

// taken takes what the follower has read.
func (c *catalog) taken(all bool, kvs []ownership.KV) {
	u := store.Update{All: all}
	var versions []ownership.KV
	for _, kv := range kvs {
		if r, ok := ownership.CatalogRecord(kv); ok {
			u.Records = append(u.Records, r)
		} else if kv.Key == ownership.CatalogVersionKey {
			versions = append(versions, kv)
		}
	}
	slices.SortFunc(u.Records, func(a, b node.Record) int { return bytes.Compare(a.Key, b.Key) })
	version, err := ownership.DecodeCatalogVersion(versions)
	c.mu.Lock()
	if err == nil {
		c.version = version
	}
	c.err = err
	c.mu.Unlock()
	if err == nil {
		u.Version = version.Number
		c.take(u)
	}
}

func (c *catalog) current() (ownership.CatalogVersion, error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.version, c.err
}

// Follow implements store.Common.
func (s *Store) Follow(ctx context.Context, take func(store.Update)) error {
	err := s.reading(ctx, func(ctx context.Context) error {
		s.catalog.take = take
		s.running.Go(func() { s.catalog.follower.run(s.ctx) })
		if err := s.catalog.follower.until(ctx, 1); err != nil {
			return err
		}
		_, err := s.catalog.current()

		return err
	})
	if err != nil {
		return fmt.Errorf("follow the catalog: %w", err)
	}

	return nil
}

// Sync implements store.Common.
func (s *Store) Sync(ctx context.Context) error {
	err := s.reading(ctx, func(ctx context.Context) error {
		version, err := s.readVersion(ctx)
		if err != nil {
			return err
		}

		return s.catalog.follower.until(ctx, max(1, version.Mod))
	})
	if err != nil {
		return fmt.Errorf("read the version of the catalog: %w", err)
	}

	return nil
}

// readVersion reads the version linearizably.
func (s *Store) readVersion(ctx context.Context) (ownership.CatalogVersion, error) {
	r, err := s.etcd.read(ctx, ownership.Txn{Then: []ownership.Op{
		{Kind: ownership.Get, Key: ownership.CatalogVersionKey},
	}})
	if err != nil {
		return ownership.CatalogVersion{}, err
	}

	return ownership.DecodeCatalogVersion(r.Gets[0])
}

// CommitAt implements store.Common.
func (s *Store) CommitAt(ctx context.Context, version uint64, b store.Batch) error {
	return s.commitCatalog(ctx, b, func(ctx context.Context) error {
		at, err := s.catalog.current()
		if err != nil {
			return err
		}
		revision := at.Mod
		if err = store.ErrChanged; at.Number == version {
			revision, err = s.change(ctx, ownership.NewCatalogChange(at, b, rand.Text()[:12]))
		}
		if err != nil && !errors.Is(err, store.ErrChanged) {
			return err
		}
		if late := s.catalog.follower.until(ctx, revision); late != nil && err != nil {
			return late
		}

		return err
	})
}

// commitCatalog calls commit as a call of the store that commits the batch to the catalog.
func (s *Store) commitCatalog(ctx context.Context, b store.Batch, commit func(context.Context) error) error {
	if err := ownership.Check(b); err != nil {
		return err
	}
	err := s.reading(ctx, commit)
	if err == nil && len(b.Drop) > 0 {
		s.running.Go(func() { s.cleanAll(s.ctx) })
	}
	if err != nil {
		return fmt.Errorf("change the catalog: %w", err)
	}

	return nil
}

// change sends the change until its outcome is known.
func (s *Store) change(ctx context.Context, c *ownership.CatalogChange) (revision int64, err error) {
	for attempt := 1; ; attempt++ {
		r, err := s.etcd.do(ctx, c.Send())
		if err == nil {
			return c.Answer(r)
		}
		if refused := refusal(err); refused != nil {
			return 0, refused
		}
		if err := s.etcd.pause(ctx, attempt); err != nil {
			return 0, err
		}
	}
}

// overwrite commits a batch to the catalog, whatever version it has.
func (s *Store) overwrite(ctx context.Context, b store.Batch) error {
	return s.commitCatalog(ctx, b, func(ctx context.Context) error {
		for {
			at, err := s.readVersion(ctx)
			if err == nil {
				_, err = s.change(ctx, ownership.NewCatalogChange(at, b, rand.Text()[:12]))
			}
			if !errors.Is(err, store.ErrChanged) {
				return err
			}
		}
	})
}

// loadCatalog yields the records of the catalog at the revision or, if that is 0, now.
func (e *etcd) loadCatalog(ctx context.Context, revision int64, yield func(node.Record) bool) error {
	for next := ""; ; {
		page := ownership.CatalogPage(next, revision)
		result, err := e.read(ctx, ownership.Txn{Then: []ownership.Op{page}})
		if err != nil {
			return err
		}
		if revision == 0 {
			revision = result.Revision
		}
		for _, kv := range result.Gets[0] {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			r, _ := ownership.CatalogRecord(kv)
			if !yield(r) {
				return errStopped
			}
			next = kv.Key + "\x00"
		}
		if len(result.Gets[0]) < page.Limit {
			return nil
		}
	}
}

var _ store.Common = (*Store)(nil)
