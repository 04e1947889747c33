// Package catalog manages the tree of directories and coordination nodes of one database. It assigns each node a space
// of the store for the node's records, and keeps the tree itself in the space store.Catalog. It implements the rules of
// docs/protocol.md about nodes and directories. Of a node it knows only the path, the settings and the space, not the
// contents.
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

// Catalog is the tree of a database. It keeps the whole tree in memory, so that reads never wait for the store. Its
// methods may be called from several goroutines. Their errors are of type *[Error], or errors of the context. The rules
// are N1 to N6 and D2 of docs/protocol.md.
//
// After a failed commit, memory and store may differ. The catalog then refuses every call, including reads, because
// no stream may attach to a node that has possibly been dropped. The owner of the catalog must open the store and the
// catalog again.
//
// If servers share the store, each of them has the whole tree and follows the changes of the others. What a read
// returns may have changed a moment ago, unless Sync was called before. A failed commit has no consequences for other
// calls.
type Catalog struct {
	database string   // cleaned
	root     []string // the components of database
	store    store.Store
	common   store.Common // nil: servers do not share the store

	limits Limits

	turn chan struct{} // held by the current change, from reading the tree until the tree is updated

	// mu protects the fields below. Only the holder of turn writes them, and it reads without mu. If servers share the
	// store, only take writes them.
	mu       sync.RWMutex
	tree     map[string]*item // by path below the database; the database itself is ""
	last     store.Space      // the latest space assigned to a node; spaces are never reused
	restored storedRestore
	failed   *Error // the reason why every call is refused, or nil
	version  uint64 // of the store that tree shows; used only if servers share it
	dropped  func(store.Space)
}

// item is an entry of the tree.
type item struct {
	kind     Kind
	space    store.Space
	config   Config
	children map[string]struct{} // by name
}

// Open loads the catalog of the database from the store. The name of the database is an absolute path such as "/local".
// The paths in the store are relative to the database, so a store can be opened under another database name. If no
// catalog can have written the records, the error wraps store.ErrDamaged.
func Open(ctx context.Context, st store.Store, database string) (*Catalog, error) {
	root, err := splitDatabase(database)
	if err != nil {
		return nil, err
	}
	c := &Catalog{
		database: "/" + strings.Join(root, "/"),
		root:     root,
		store:    st,
		turn:     make(chan struct{}, 1),
		tree:     map[string]*item{"": {kind: Directory}},
	}
	if common, ok := st.(store.Common); ok {
		c.common = common

		return c.follow(ctx)
	}
	if err := st.Claim(ctx, store.Catalog); err != nil {
		return nil, fmt.Errorf("claim the catalog: %w", err)
	}
	if err := c.load(st.Load(ctx, store.Catalog)); err != nil {
		return nil, fmt.Errorf("load the catalog: %w", err)
	}

	return c, nil
}

// CheckDatabase returns the error that Open returns for the name of a database.
func CheckDatabase(database string) error {
	_, err := splitDatabase(database)

	return err
}

// splitDatabase returns the components of the name of a database.
func splitDatabase(database string) ([]string, error) {
	root, err := split(database)
	if err == nil && len(root) == 0 {
		err = refuse(node.BadRequest, "path %q contains no name", database)
	}
	if err != nil {
		return nil, fmt.Errorf("invalid database name %.300q (expected a path such as \"/local\"): %w", database, err)
	}

	return root, nil
}

// Database returns the cleaned path of the database.
func (c *Catalog) Database() string { return c.database }

// Lookup returns the entry at the path. The error is SCHEME_ERROR if there is none.
func (c *Catalog) Lookup(path string) (Entry, error) {
	rel, err := c.relative(path)
	if err != nil {
		return Entry{}, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()

	return c.find(rel)
}

// List returns the entry at the path and the entries in it, sorted by name. A node contains no entries.
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

// FirstMissing returns the outermost of the path and the directories above it that does not exist, and the path of the
// directory that it is to be in. Both are empty if the path exists.
func (c *Catalog) FirstMissing(path string) (missing, in string, err error) {
	rel, err := c.relative(path)
	if err != nil {
		return "", "", err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()

	for rel != "" && c.tree[rel] == nil {
		parent, _ := splitLast(rel)
		missing, in, rel = c.absolute(rel), c.absolute(parent), parent
	}

	return missing, in, nil
}

// Children returns the number of entries in the directory at the path, or 0 if there is none.
func (c *Catalog) Children(path string) int {
	rel, err := c.relative(path)
	if err != nil {
		return 0
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if i := c.tree[rel]; i != nil {
		return len(i.children)
	}

	return 0
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

// put adds an item to the tree, or replaces a node. The parent of the item must exist.
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
