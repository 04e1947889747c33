// Package catalog is the tree of directories and coordination nodes of one database. It gives each node the space of
// the store that the node's records are in, and keeps the tree itself in the space store.Catalog. The rules that it
// follows are N1 to N6 of docs/protocol.md; what is deeper than a node's existence and settings is not its business.
package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"tenure/internal/node"
	"tenure/internal/store"
)

// Catalog is a tree that is whole in memory; reading it never waits for the store. Its methods may be called from
// several goroutines. Their errors are of type *[Error], or the context's.
//
// After a commit that failed, memory and store may differ. The catalog then refuses every call, also those that only
// read: a node that is perhaps dropped must not be attached to. Whoever owns it opens the store and the catalog anew.
type Catalog struct {
	database string   // clean
	root     []string // its parts
	store    store.Store

	turn chan struct{} // held by the one change under way, from its look at the tree until that is changed

	mu     sync.RWMutex     // guards the fields below; the holder of turn, who alone writes them, reads them without
	tree   map[string]*item // by path below the database, whose own is ""
	last   store.Space      // the newest space that was given to a node; none is given twice
	failed *Error           // why every call is refused; nil: none is
}

// item is an entry in the tree.
type item struct {
	kind     Kind
	space    store.Space
	config   Config
	children map[string]struct{} // names
}

// Open loads the catalog of the database, an absolute path such as "/local", from the store. The paths in the store
// are those below the database, so that a store can be opened under another name. Records that no catalog can have
// written give an error that wraps store.ErrDamaged.
func Open(ctx context.Context, st store.Store, database string) (*Catalog, error) {
	root, err := split(database)
	if err == nil && len(root) == 0 {
		err = refuse(node.BadRequest, "path %q has no name in it", database)
	}
	if err != nil {
		return nil, fmt.Errorf("database %.300q is no name, give one like \"/local\": %w", database, err)
	}
	c := &Catalog{
		database: "/" + strings.Join(root, "/"),
		root:     root,
		store:    st,
		turn:     make(chan struct{}, 1),
		tree:     map[string]*item{"": {kind: Directory}},
	}
	if err := c.load(ctx); err != nil {
		return nil, fmt.Errorf("load the catalog: %w", err)
	}

	return c, nil
}

// Database returns the path of the database, cleaned.
func (c *Catalog) Database() string { return c.database }

// Lookup returns the entry at the path; SCHEME_ERROR if there is none.
func (c *Catalog) Lookup(path string) (Entry, error) {
	rel, err := c.relative(path)
	if err != nil {
		return Entry{}, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()

	return c.find(rel)
}

// List returns the entry at the path and what is in it, by name; a node holds no entries.
func (c *Catalog) List(path string) (Entry, []Entry, error) {
	rel, err := c.relative(path)
	if err != nil {
		return Entry{}, nil, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()

	self, err := c.find(rel)
	if err != nil {
		return Entry{}, nil, err
	}
	var children []Entry
	for _, name := range slices.Sorted(maps.Keys(c.tree[rel].children)) {
		children = append(children, c.entry(join(rel, name)))
	}

	return self, children, nil
}

func (c *Catalog) find(rel string) (Entry, error) {
	if c.failed != nil {
		return Entry{}, c.failed
	}
	if c.tree[rel] == nil {
		return Entry{}, refuse(node.SchemeError, "path %q does not exist", c.absolute(rel))
	}

	return c.entry(rel), nil
}

func (c *Catalog) entry(rel string) Entry {
	i := c.tree[rel]

	return Entry{Path: c.absolute(rel), Kind: i.kind, Space: i.space, Config: i.config}
}

// put adds an item to the tree, or replaces a node. Its parent is there.
func (c *Catalog) put(rel string, i item) {
	c.tree[rel] = &i
	parent, name := splitLast(rel)
	p := c.tree[parent]
	if p.children == nil {
		p.children = make(map[string]struct{})
	}
	p.children[name] = struct{}{}
}

func (c *Catalog) remove(rel string) {
	delete(c.tree, rel)
	parent, name := splitLast(rel)
	delete(c.tree[parent].children, name)
}
