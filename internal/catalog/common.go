package catalog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"tenure/internal/node"
	"tenure/internal/store"
)

// follow fills the tree, and lets it follow the changes of all servers.
func (c *Catalog) follow(ctx context.Context) (*Catalog, error) {
	err := c.common.Follow(ctx, c.take)
	if err == nil {
		c.mu.RLock()
		defer c.mu.RUnlock()
		if c.failed != nil {
			err = c.failed.cause
		}
	}
	if err != nil {
		return nil, fmt.Errorf("load the catalog: %w", err)
	}

	return c, nil
}

// OnDrop sets the function that is called when a node of the space was dropped, by this server or by another one. It
// must not call the catalog's methods that change something. It is called only if servers share the store.
func (c *Catalog) OnDrop(dropped func(store.Space)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped = dropped
}

// Common reports whether servers share the store.
func (c *Catalog) Common() bool { return c.common != nil }

// Sync makes the tree show all changes that any server has acknowledged before the call. It does nothing if servers do
// not share the store.
func (c *Catalog) Sync(ctx context.Context) error {
	if c.common == nil {
		return nil
	}
	if err := c.common.Sync(ctx); err != nil {
		return &Error{node.Unavailable, fmt.Sprintf("the tree of nodes cannot be read now: %v", err), err}
	}

	return nil
}

// take updates the tree. If an update is damaged, every call is refused until the store sends all records again.
func (c *Catalog) take(u store.Update) {
	c.mu.Lock()
	var gone []store.Space
	var err error
	if u.All {
		gone, err = c.takeAll(u)
	} else if c.failed == nil {
		gone, err = c.takeChange(u)
	}
	if err != nil {
		c.failed = refuse(node.Unavailable, "the tree of nodes cannot be used: %v", err)
		c.failed.cause = err
	}
	c.version = u.Version
	dropped := c.dropped
	c.mu.Unlock()
	if dropped == nil {
		return
	}
	for _, space := range gone {
		dropped(space)
	}
}

func (c *Catalog) takeAll(u store.Update) (gone []store.Space, err error) {
	fresh := &Catalog{tree: map[string]*item{"": {kind: Directory}}}
	if err := fresh.load(yieldAll(u.Records)); err != nil {
		return nil, err
	}
	spaces := make(map[store.Space]bool, len(fresh.tree))
	for _, i := range fresh.tree {
		spaces[i.space] = true
	}
	for _, i := range c.tree {
		if i.kind == Node && !spaces[i.space] {
			gone = append(gone, i.space)
		}
	}
	c.tree, c.last, c.restored, c.failed = fresh.tree, fresh.last, fresh.restored, nil

	return gone, nil
}

func yieldAll(all []node.Record) iter.Seq2[node.Record, error] {
	return func(yield func(node.Record, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// takeChange puts parents before their entries, and removes them after these.
func (c *Catalog) takeChange(u store.Update) (gone []store.Space, err error) {
	for _, r := range u.Records {
		if r.Value != nil {
			space, err := c.takeRecord(r)
			if err != nil {
				return nil, err
			}
			if space != 0 {
				gone = append(gone, space)
			}
		}
	}
	for _, r := range slices.Backward(u.Records) {
		if r.Value != nil || len(r.Key) == 0 || r.Key[0] != keyEntry {
			continue
		}
		rel := string(r.Key[1:])
		i := c.tree[rel]
		if i == nil {
			continue
		}
		if len(i.children) > 0 {
			return nil, fmt.Errorf("%w: record %.300q: was removed, but has entries", store.ErrDamaged, r.Key)
		}
		c.remove(rel)
		if i.kind == Node {
			gone = append(gone, i.space)
		}
	}

	return gone, nil
}

// takeRecord returns the space that the record's entry had before, if it has another one now.
func (c *Catalog) takeRecord(r node.Record) (gone store.Space, err error) {
	switch {
	case string(r.Key) == keyCounter:
		return 0, decode(r, &c.last)
	case string(r.Key) == keyRestore:
		return 0, decode(r, &c.restored)
	case len(r.Key) == 0 || r.Key[0] != keyEntry:
		return 0, fmt.Errorf("%w: record %.300q: unknown key", store.ErrDamaged, r.Key)
	}
	rel, i, err := c.decodeItem(r)
	if err != nil {
		return 0, err
	}
	if was := c.tree[rel]; was != nil {
		i.children = was.children
		if was.space != i.space {
			gone = was.space
		}
	}
	c.put(rel, i)

	return gone, nil
}

// changeCommon makes a change of a tree that other servers change too. If one of them was faster, it plans again. What
// draw refuses is judged by a tree that has all changes which were acknowledged before the call.
func (c *Catalog) changeCommon(ctx context.Context, draw func() (plan, error)) error {
	if err := c.Sync(ctx); err != nil {
		return err
	}
	for {
		p, version, err := c.draw(draw)
		if err != nil || p.empty() {
			return err
		}
		err = c.common.CommitAt(ctx, version, p.batch())
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, store.ErrChanged):
			return &Error{node.Undetermined, fmt.Sprintf("the change may or may not be stored: %v", err), err}
		}
	}
}

func (c *Catalog) draw(draw func() (plan, error)) (plan, uint64, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.failed != nil {
		return plan{}, 0, c.failed
	}
	p, err := draw()

	return p, c.version, err
}
