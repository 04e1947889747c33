package pebblestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"tenure/internal/store"
)

// openError is the error of Open, in one line.
func openError(dir string, err error) error {
	for _, complete := range []error{store.ErrLocked, store.ErrNewer, store.ErrDamaged} {
		if errors.Is(err, complete) {
			return fmt.Errorf("open store %q: %w", dir, err)
		}
	}

	return fmt.Errorf("open store %q: %w: %s", dir, spelt(err), remedy(dir, err))
}

const restore = "restore a backup, or move the directory away to begin anew"

// damaged is the error for a store that is not what was written.
func damaged(what string) error { return fmt.Errorf("%w: %s: %s", store.ErrDamaged, what, restore) }

// spelt quotes the name in an error of package os, as all our errors do.
func spelt(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) && err.Error() == path.Error() {
		return fmt.Errorf("%s %q: %w", path.Op, path.Path, path.Err)
	}

	return err
}

// noLocks marks the error of a lock that the file system does not have.
type noLocks struct{ error }

func (n noLocks) Unwrap() error { return n.error }

// remedy says what to do about an error that the system gave for the directory.
func remedy(dir string, err error) string {
	is := func(errnos ...syscall.Errno) bool {
		for _, errno := range errnos {
			if errors.Is(err, errno) {
				return true
			}
		}

		return false
	}
	var locks noLocks
	switch {
	case errors.As(err, &locks):
		return fmt.Sprintf("the file system of %q has no file locks: choose a directory on a local disk", dir)
	case is(syscall.ENOSPC):
		return fmt.Sprintf("the disk of %q is full: make room on it", dir)
	case is(syscall.EDQUOT):
		return fmt.Sprintf("the disk quota for %q is used up: make room, or have the quota raised", dir)
	case is(syscall.EROFS):
		return fmt.Sprintf("the file system of %q is read-only: make it writable, or choose another directory", dir)
	case is(syscall.EACCES, syscall.EPERM):
		return fmt.Sprintf("let user %d read and write in %q, or choose another directory", os.Getuid(), dir)
	case is(syscall.ENOTDIR):
		return "there is a file: choose another directory"
	case is(syscall.EIO):
		return fmt.Sprintf("the disk of %q fails: see the system's log, then mend or replace the disk", dir)
	default:
		return fmt.Sprintf("check %q and its disk", dir)
	}
}
