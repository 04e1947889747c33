package catalog

import (
	"context"
	"fmt"
	"iter"
	"time"

	"tenure/internal/node"
	"tenure/internal/store"
)

// storedRestore is the layout of the value of the restore record. A catalog that was never restored has none.
type storedRestore struct {
	Above uint64 // see Catalog.Above
	Wait  uint64 // see Catalog.Wait; in ms
}

// Above returns a number below the ids of sessions and the order ids of nodes without records. A node that was created
// after the backup, and is created again after the restore, so assigns other ids than before.
func (c *Catalog) Above() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()

	return c.restored.Above
}

// Wait returns how long after its start a server grants nothing, because clients may still hold what a lost server has
// granted them; 0 if it has waited already.
func (c *Catalog) Wait() time.Duration {
	c.mu.RLock()
	defer c.mu.RUnlock()

	return time.Duration(c.restored.Wait) * time.Millisecond //nolint:gosec // load checks it
}

// MaxWait is the largest value of Wait.
const MaxWait = 24 * time.Hour

// Waited records that the time of Wait has passed. From then on, a server may grant.
func (c *Catalog) Waited(ctx context.Context) error {
	return c.change(ctx, func() (plan, error) {
		if c.restored.Wait == 0 {
			return plan{}, nil
		}

		return plan{restored: &storedRestore{Above: c.restored.Above}}, nil
	})
}

// Contents is what a backup has to know of a catalog.
type Contents struct {
	Nodes map[store.Space]string // paths below the database, by space
	Above uint64
	Wait  time.Duration
}

// Read returns the contents of the records of a catalog. If no catalog can have written them, the error wraps
// store.ErrDamaged. An error yielded by records is returned unchanged.
func Read(records iter.Seq2[node.Record, error]) (Contents, error) {
	c := &Catalog{tree: map[string]*item{"": {kind: Directory}}}
	if err := c.load(records); err != nil {
		return Contents{}, err
	}
	contents := Contents{Nodes: make(map[store.Space]string), Above: c.restored.Above, Wait: c.Wait()}
	for rel, i := range c.tree {
		if i.kind == Node {
			contents.Nodes[i.space] = rel
		}
	}

	return contents, nil
}

// Restored reports whether a restored catalog keeps the record. It does not keep the restore record, and gets that of
// RestoreRecord instead.
func Restored(r node.Record) bool { return string(r.Key) != keyRestore }

// RestoreRecord returns the restore record of a catalog that is restored from a backup with the contents. Its key is
// above all others. The wait is at most MaxWait. If the server that was backed up had to wait itself, a shorter wait is
// raised to that one.
func RestoreRecord(was Contents, wait time.Duration) (node.Record, error) {
	above, err := node.Lifted(was.Above)
	if err != nil {
		return node.Record{}, fmt.Errorf("catalog: %w", err)
	}

	return encode([]byte(keyRestore), storedRestore{above, uint64(max(wait, was.Wait).Milliseconds())}), nil
}
