//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock tries to lock the file and reports whether it did. It does not use a library of file locks, because these do
// not give access to the descriptor, which a lifeline passes on to other processes.
func tryLock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, err
		}
	}
}

// lockError returns the error for a file in the state directory that cannot be locked.
func (d *directory) lockError(err error) error {
	for _, none := range []error{unix.ENOLCK, unix.ENOSYS, unix.ENOTSUP, unix.EOPNOTSUPP, unix.EINVAL} {
		if errors.Is(err, none) {
			return fmt.Errorf("state directory %q: its file system does not support file locks (%w): %s", d.path, err,
				d.choose("a directory on a local disk"))
		}
	}

	return d.fault(err)
}
