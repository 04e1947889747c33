// Package store is where nodes keep their records: a narrow interface, implemented by memstore and pebblestore, with
// one test suite for all in storetest and injected faults in faultstore.
package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"tenure/internal/node"
)

// Space is a set of records that is loaded as a whole: Catalog, or a coordination node's, by its id. The largest
// Space, 1<<64-1, is none: a store may need it as a bound.
type Space uint64

// Catalog is the space of the tree of directories and nodes.
const Catalog Space = 0

// Errors of Open. Implementations wrap them with the store's name and what to do. Load and Commit return ErrDamaged
// too, if they come across damage.
var (
	// ErrLocked: the store is open already, here or in another process.
	ErrLocked = errors.New("store is in use")
	// ErrNewer: the store was written in a format that this version does not read.
	ErrNewer = errors.New("store has a newer format")
	// ErrDamaged: what is stored is not what was written. Open leaves it as it is.
	ErrDamaged = errors.New("store is damaged")
)

// ErrClosed is the error of calls after Close.
var ErrClosed = errors.New("store is closed")

// Batch is what one Commit writes, all of it or nothing.
type Batch struct {
	Space   Space
	Changes []node.Record // in order; a nil Value deletes, an empty one is kept
	Drop    []Space       // spaces whose records all go; none of them is Space
}

// Store keeps records. Its methods may be called from several goroutines, except that the calls about one space come
// one after another.
type Store interface {
	// Load yields every record of a space in the order of the keys' bytes, then ends; or an error, as its last pair.
	// A space in which nothing was ever written is empty. The slices are valid until the next pair, and only to be read.
	Load(ctx context.Context, space Space) iter.Seq2[node.Record, error]

	// Commit applies the batch atomically; when it returns nil, the batch survives a crash of process and machine.
	// It does not keep the batch's slices.
	//
	// If ctx has ended before, or the batch breaks a rule, nothing is written and the store goes on. After any other
	// error the outcome is unknown, and the store may refuse all further calls with that error: its owner closes it,
	// opens it again and loads what is there. A Commit that has begun does not heed ctx.
	Commit(ctx context.Context, b Batch) error

	// Close ends the use of the store. Calls under way finish first; later ones return ErrClosed. Twice is fine. Not
	// to be called from a loop over Load.
	Close() error
}

// Check says whether the space is none. Implementations of Load call it first.
func (s Space) Check() error {
	if s == math.MaxUint64 {
		return fmt.Errorf("space %d is out of range", uint64(s))
	}

	return nil
}

// Check says which rule the batch breaks, if any. Implementations of Commit call it first.
func (b Batch) Check() error {
	if err := b.Space.Check(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for _, space := range b.Drop {
		if err := space.Check(); err != nil {
			return fmt.Errorf("commit: drop: %w", err)
		}
		if space == b.Space {
			return fmt.Errorf("commit to space %d: the batch drops the space that it writes to", space)
		}
	}

	return nil
}
