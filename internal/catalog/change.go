package catalog

import (
	"context"
	"fmt"

	"tenure/internal/node"
	"tenure/internal/store"
)

// CreateNode creates a coordination node and its missing parent directories. If the node already exists, nothing
// changes (N1).
func (c *Catalog) CreateNode(ctx context.Context, path string, cfg Config) error {
	rel, err := c.relative(path)
	if err != nil {
		return err
	}
	if err := cfg.check(); err != nil {
		return err
	}

	return c.change(ctx, func() (plan, error) {
		return c.create(rel, item{kind: Node, space: c.last + 1, config: cfg})
	})
}

// AlterNode changes the settings of a node. Only those that are non-zero in changes take a new value (N2).
func (c *Catalog) AlterNode(ctx context.Context, path string, changes Config) error {
	rel, err := c.relative(path)
	if err != nil {
		return err
	}
	if err := changes.check(); err != nil {
		return err
	}

	return c.change(ctx, func() (plan, error) {
		i, err := c.node(rel)
		if err != nil {
			return plan{}, err
		}
		altered := item{kind: Node, space: i.space, config: i.config.with(changes)}
		if altered.config == i.config {
			return plan{}, nil
		}

		return plan{put: []placed{{rel, altered}}}, nil
	})
}

// DropNode removes a node and all its records (N3). The space is the one that Lookup returned for the node, and the
// caller must have stopped all writes to it, unless servers share the store. If the path now belongs to a different
// node, the intended node is already gone, and DropNode fails as if the path did not exist.
func (c *Catalog) DropNode(ctx context.Context, path string, space store.Space) error {
	rel, err := c.relative(path)
	if err != nil {
		return err
	}

	return c.change(ctx, func() (plan, error) {
		i, err := c.node(rel)
		if err != nil {
			return plan{}, err
		}
		if i.space != space {
			return plan{}, refuse(node.SchemeError, "path %q no longer exists", c.absolute(rel))
		}

		return plan{remove: []string{rel}, drop: []store.Space{space}}, nil
	})
}

// MakeDirectory creates a directory and its missing parent directories. If the directory already exists, nothing
// changes (D2).
func (c *Catalog) MakeDirectory(ctx context.Context, path string) error {
	rel, err := c.relative(path)
	if err != nil {
		return err
	}

	return c.change(ctx, func() (plan, error) { return c.create(rel, item{kind: Directory}) })
}

// RemoveDirectory removes an empty directory. The error is PRECONDITION_FAILED if the directory is not empty (D2).
func (c *Catalog) RemoveDirectory(ctx context.Context, path string) error {
	rel, err := c.relative(path)
	if err != nil {
		return err
	}
	if rel == "" {
		return refuse(node.SchemeError, "path %q is the database itself and cannot be removed", c.database)
	}

	return c.change(ctx, func() (plan, error) {
		i := c.tree[rel]
		switch {
		case i == nil:
			return plan{}, refuse(node.SchemeError, "path %q does not exist", c.absolute(rel))
		case i.kind != Directory:
			return plan{}, refuse(node.SchemeError, "path %q is a coordination node, not a directory", c.absolute(rel))
		case len(i.children) > 0:
			return plan{}, refuse(node.PreconditionFailed, "directory %q is not empty", c.absolute(rel))
		}

		return plan{remove: []string{rel}}, nil
	})
}

// plan is a change to make first in the store and then in the tree.
type plan struct {
	put    []placed // parents first
	remove []string
	drop   []store.Space
	last   store.Space // new value of the counter; 0 if it does not change

	restored *storedRestore // nil if it does not change
}

type placed struct {
	rel string
	item
}

func (p plan) empty() bool { return len(p.put) == 0 && len(p.remove) == 0 && p.restored == nil }

func (p plan) batch() store.Batch {
	b := store.Batch{Space: store.Catalog, Drop: p.drop}
	if p.last != 0 {
		b.Changes = append(b.Changes, encodeLast(p.last))
	}
	for _, e := range p.put {
		b.Changes = append(b.Changes, encodeItem(e.rel, e.item))
	}
	if p.restored != nil {
		b.Changes = append(b.Changes, encode([]byte(keyRestore), *p.restored))
	}
	for _, rel := range p.remove {
		b.Changes = append(b.Changes, node.Record{Key: itemKey(rel)})
	}

	return b
}

// change makes one change after waiting for its turn. It calls draw to plan the change, commits the plan, and then
// applies it to the tree.
func (c *Catalog) change(ctx context.Context, draw func() (plan, error)) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if c.common != nil {
		return c.changeCommon(ctx, draw)
	}
	if c.failed != nil {
		return c.failed
	}
	p, err := draw()
	if err != nil || p.empty() {
		return err
	}
	// Ignore the end of the caller's context: an interrupted commit has an unknown outcome, which stops the catalog.
	err = c.store.Commit(context.WithoutCancel(ctx), p.batch())

	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed = refuse(node.Unavailable, "an earlier change of the catalog may or may not be stored: %v", err)
		c.failed.cause = err

		return &Error{node.Undetermined, fmt.Sprintf("the change may or may not be stored: %v", err), err}
	}
	c.last = max(c.last, p.last)
	if p.restored != nil {
		c.restored = *p.restored
	}
	for _, e := range p.put {
		c.put(e.rel, e.item)
	}
	for _, rel := range p.remove {
		c.remove(rel)
	}

	return nil
}

// create plans the creation of an entry and its missing parent directories. The plan is empty if the entry already
// exists.
func (c *Catalog) create(rel string, want item) (plan, error) {
	var p plan
	for dir := range above(rel) {
		switch i := c.tree[dir]; {
		case i == nil:
			p.put = append(p.put, placed{dir, item{kind: Directory}})
		case i.kind != Directory:
			return plan{}, refuse(node.SchemeError, "path %q is below the coordination node %q", c.absolute(rel),
				c.absolute(dir))
		}
	}
	if i := c.tree[rel]; i != nil {
		if i.kind != want.kind {
			return plan{}, refuse(node.SchemeError, "path %q exists and is a %v", c.absolute(rel), i.kind)
		}

		return plan{}, nil
	}
	p.put = append(p.put, placed{rel, want})
	if err := c.limits.room(len(c.tree) - 1 + len(p.put)); err != nil {
		return plan{}, err
	}
	p.last = want.space

	return p, nil
}

// node returns the node at rel.
func (c *Catalog) node(rel string) (*item, error) {
	switch i := c.tree[rel]; {
	case i == nil:
		return nil, refuse(node.SchemeError, "path %q does not exist", c.absolute(rel))
	case i.kind != Node:
		return nil, refuse(node.SchemeError, "path %q is a directory, not a coordination node", c.absolute(rel))
	default:
		return i, nil
	}
}
