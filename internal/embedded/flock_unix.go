//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock locks the file, unless somebody else has done that. Here and not in a library of file locks, since those keep
// the descriptor to themselves, which a lifeline hands to other processes.
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

// lockError says why a file in the state directory can't be locked, and what to do.
func lockError(path string, err error) error {
	for _, none := range []error{unix.ENOLCK, unix.ENOSYS, unix.ENOTSUP, unix.EOPNOTSUPP, unix.EINVAL} {
		if errors.Is(err, none) {
			return fmt.Errorf("state directory %q: its file system does not support file locks (%w): choose a directory on "+
				"a local disk with --dir or TENURE_DIR", path, err)
		}
	}

	return dirError(path, err)
}
