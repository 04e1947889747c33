// Package store is where nodes keep their records: a narrow interface, implemented by memstore and pebblestore, with
// one test suite for all in storetest and injected faults in faultstore.
package store

import (
	"context"
	"errors"
	"iter"

	"tenure/internal/node"
)

// Space is a set of records that is loaded as a whole: Catalog, or a coordination node's, by its id.
type Space uint64

// Catalog is the space of the tree of directories and nodes.
const Catalog Space = 0

// Errors of Open. Implementations wrap them with the store's name and what to do.
var (
	// ErrLocked: another process has the store open.
	ErrLocked = errors.New("store is in use")
	// ErrNewer: the store was written in a format that this version does not read.
	ErrNewer = errors.New("store has a newer format")
	// ErrDamaged: what is stored is not what was written. Nothing has been changed.
	ErrDamaged = errors.New("store is damaged")
)

// Batch is what one Commit writes, all of it or nothing.
type Batch struct {
	Space   Space
	Changes []node.Record // in order; a nil Value deletes
	Drop    []Space       // spaces whose records all go; none of them is Space
}

// Store keeps records. Its methods may be called from several goroutines, except that the calls about one space come
// one after another.
type Store interface {
	// Load yields every record of a space in the order of the keys' bytes, then ends; or an error, as its last pair.
	// A space in which nothing was ever written is empty. The slices are valid until the next pair.
	Load(ctx context.Context, space Space) iter.Seq2[node.Record, error]

	// Commit applies the batch atomically; when it returns nil, the batch survives a crash of process and machine.
	// After an error the outcome is unknown, and the store may refuse all further calls with that error: its owner
	// closes it, opens it again and loads what is there. It does not keep the batch's slices.
	Commit(ctx context.Context, b Batch) error

	// Close ends the use of the store. Calls under way finish first; later ones give an error. Twice is fine.
	Close() error
}
