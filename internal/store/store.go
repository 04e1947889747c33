// Package store defines the interface through which coordination nodes store their records.
//
// Packages memstore and logstore implement it. Package storetest tests any implementation, and package faultstore
// injects faults into one.
package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"tenure/internal/node"
)

// Space identifies a set of records that is loaded as a whole. It is either Catalog or the id of a coordination node.
// The largest value, 1<<64-1, is not a valid space, because a store may need it as an upper bound.
type Space uint64

// Catalog is the space that holds the tree of directories and nodes.
const Catalog Space = 0

// Errors of Open. Implementations wrap them in an error that names the store and says what to do. Load and Commit also
// return ErrDamaged if they find damage.
var (
	// ErrLocked reports that the store is already open, in this process or in another one.
	ErrLocked = errors.New("store is in use")
	// ErrOlder reports that the store has a format that this version can no longer read.
	ErrOlder = errors.New("store format is too old")
	// ErrNewer reports that the store has a format that this version cannot read.
	ErrNewer = errors.New("store format is too new")
	// ErrDamaged reports that the stored data differs from what was written. Open leaves the data unchanged.
	ErrDamaged = errors.New("store is damaged")
)

// Errors of a store that several servers share. They end the claim of one space.
var (
	// ErrFenced reports that another server has claimed the space since Claim.
	ErrFenced = errors.New("another server has claimed the space")
	// ErrDropped reports that a batch has dropped the space.
	ErrDropped = errors.New("the space has been dropped")
)

// OwnedError reports that another server owns the space, or that it did until a moment ago.
type OwnedError struct{ Server string }

func (e *OwnedError) Error() string { return fmt.Sprintf("server %q owns the space", e.Server) }

// ClaimOver reports whether the error of Claim, Confirm or Commit means that this server may not serve the space, or no
// longer. Other spaces are not affected.
func ClaimOver(err error) bool {
	_, owned := errors.AsType[*OwnedError](err)

	return owned || errors.Is(err, ErrFenced) || errors.Is(err, ErrDropped)
}

// ErrClosed is the error of calls made after Close.
var ErrClosed = errors.New("store is closed")

// Batch lists the changes of one Commit, which makes all of them or none.
type Batch struct {
	Space   Space
	Changes []node.Record // in order; a nil Value deletes the key, an empty one is stored
	Drop    []Space       // spaces to delete entirely; cannot include Space. Servers that share a store do not reuse them.
}

// Record is a record of a space.
type Record struct {
	Space Space
	node.Record
}

// Store keeps the records of all spaces. Its methods are safe for concurrent use, except that callers must serialize
// their calls for the same space.
type Store interface {
	// Shared reports whether other servers may use the same records. Otherwise Claim and Confirm do nothing.
	Shared() bool

	// Claim makes this store the only one that can commit to the space. Call it before Load if the records are to be
	// changed, and before the first Commit. In a store that servers share, a claim ends when another server claims the
	// space: then Commit and Confirm return ErrFenced or ErrDropped, and the caller must drop what it has loaded. A new
	// Claim replaces an earlier one. Claim returns an *OwnedError if another server owns the space, and ErrDropped if it
	// has been dropped. Until the end of ctx, it waits while the servers' common store cannot be reached.
	Claim(ctx context.Context, space Space) error

	// Confirm proves that no other server has claimed the space between Claim and a moment during the call. A server
	// sends no reply, not even to a read, before a Confirm or Commit that began after the last request of the batch had
	// arrived. Otherwise it could renew a lease that another server is about to give away. It may be called concurrently.
	Confirm(ctx context.Context, space Space) error

	// Load yields every record of a space, in byte order of the keys. If it fails, the last pair that it yields has an
	// error. A space that was never written to is empty. The caller must not modify the yielded slices, which are valid
	// only until the next pair.
	Load(ctx context.Context, space Space) iter.Seq2[node.Record, error]

	// Snapshot yields every record of all spaces as they are at one instant, which is when the loop begins. The records
	// are those after a number of commits: all that returned before that instant are among them, and of the others only
	// ones that have begun. The records are in order of their spaces, and in byte order of the keys within a space. The
	// same rules as for Load apply to errors and slices.
	//
	// Commits continue during the loop and do not change what it yields. The loop may take its time, but resources such as
	// removed files are in use until it ends, and Close waits for it.
	Snapshot(ctx context.Context) iter.Seq2[Record, error]

	// Commit applies the batch atomically. When it returns nil, the batch survives a crash of the process or the
	// machine. Commit does not retain the batch's slices.
	//
	// If ctx has already ended or the batch breaks a rule, Commit writes nothing and the store remains usable. After
	// any other error the outcome is unknown, and the store may return that error from every later call. The owner of
	// the store then closes it, opens it again and loads what it contains. A Commit that has begun ignores ctx.
	//
	// A store that servers share waits while it cannot be reached. If ctx ends meanwhile, Commit returns its cause. The
	// claim is then over, and the outcome is unknown. So it is after ErrFenced and ErrDropped. Other spaces are usable.
	Commit(ctx context.Context, b Batch) error

	// Close waits for calls in progress and closes the store. Later calls return ErrClosed. Calling Close again has no
	// effect. Do not call Close inside a loop over Load or Snapshot.
	Close() error
}

// Check returns an error if the space is not valid. Implementations of Load call it first.
func (s Space) Check() error {
	if s == math.MaxUint64 {
		return fmt.Errorf("space %d is out of range", uint64(s))
	}

	return nil
}

// Check returns an error if the batch breaks a rule. Implementations of Commit call it first.
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
