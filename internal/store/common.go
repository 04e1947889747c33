package store

import (
	"context"
	"errors"

	"tenure/internal/node"
)

// ErrChanged reports that a space has changed since the version that the change was planned for.
var ErrChanged = errors.New("another server has changed the space")

// Common is implemented by a Store that servers share. The space Catalog then has no owner: every server may change it,
// and none claims it. Each change is planned for a version of the records, and made only if they still have that
// version.
type Common interface {
	Store

	// Follow calls take with all records of the catalog, and then with each later change, in order, until the store is
	// closed. Now and then it begins again with all records. It returns when take has been called for the first time, or
	// with an error. It is called at most once. Take must not call the store.
	Follow(ctx context.Context, take func(Update)) error

	// Sync waits until take has been called with every change whose Commit returned before Sync began.
	Sync(ctx context.Context) error

	// CommitAt commits a batch of the catalog if it has the version. When it returns nil, take has been called with the
	// change, unless ctx has ended. It returns ErrChanged if nothing was changed because the version is another one, which
	// take has been called with. After any other error the outcome is unknown, and the store remains usable.
	CommitAt(ctx context.Context, version uint64, b Batch) error
}

// Update is a change of the catalog, or all of it.
type Update struct {
	Version uint64 // after the change
	All     bool   // Records are all records; otherwise only those that have changed
	// Records are in byte order of their keys. The value of a record that was deleted is nil.
	Records []node.Record
}
