package logstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"tenure/internal/store"
)

// openError returns the one-line error of Open.
func openError(dir string, err error) error {
	for _, complete := range []error{store.ErrLocked, store.ErrOlder, store.ErrNewer, store.ErrDamaged} {
		if errors.Is(err, complete) {
			return fmt.Errorf("open store %q: %w", dir, err)
		}
	}

	return fmt.Errorf("open store %q: %w: %s", dir, spelt(err), remedy(dir, err))
}

const restore = "restore a backup, or move the directory away to start with an empty store"

// damaged returns the error for a store whose data differs from what was written.
func damaged(what string) error { return fmt.Errorf("%w: %s: %s", store.ErrDamaged, what, restore) }

// spelt returns err with the file name quoted, as in all our errors, if err is an error of package os.
func spelt(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) && err.Error() == path.Error() {
		return fmt.Errorf("%s %q: %w", path.Op, path.Path, path.Err)
	}

	return err
}

// noLocks marks the error of a file system that does not support locks.
type noLocks struct{ error }

func (n noLocks) Unwrap() error { return n.error }

// remedy returns what the user can do about an error that the system returned for the directory.
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
		return fmt.Sprintf("the file system of %q does not support file locks: choose a directory on a local disk", dir)
	case is(syscall.ENOSPC):
		return fmt.Sprintf("free some space on the disk of %q", dir)
	case is(syscall.EDQUOT):
		return fmt.Sprintf("free some space on the disk of %q, or have the quota raised", dir)
	case is(syscall.EROFS):
		return fmt.Sprintf("make the file system of %q writable, or choose another directory", dir)
	case is(syscall.EACCES, syscall.EPERM):
		return fmt.Sprintf("give user %d read and write access to %q, or choose another directory", os.Getuid(), dir)
	case is(syscall.ENOTDIR):
		return "part of the path is a file: choose another directory"
	case is(syscall.EIO):
		return fmt.Sprintf("the disk of %q is failing: check the system log, then repair or replace the disk", dir)
	default:
		return fmt.Sprintf("check %q and its disk", dir)
	}
}
