package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/gofrs/flock"

	"tenure/internal/store"
)

// osFS is the operating system's file system with flock(2) locks. Unlike the fcntl locks that Pebble uses, they also
// exclude a second Open in the same process, whatever path it uses.
type osFS struct{ vfs.FS }

func (osFS) Lock(name string) (io.Closer, error) {
	l := flock.New(name)
	switch ok, err := l.TryLock(); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, syscall.EAGAIN
	default:
		return l, nil
	}
}

// lock locks the directory and then writes the OWNER file, so that other processes can report which process has the
// lock. A failed attempt is cheap, because other processes may try every few milliseconds.
func lock(disk vfs.FS, dir string) (io.Closer, error) {
	name := disk.PathJoin(dir, lockName)
	l, err := disk.Lock(name)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		by := ""
		if owner, ok := readOwner(disk, dir); ok {
			by = " by " + owner.String()
		}

		return nil, fmt.Errorf("%w%s: stop that process, or choose another directory", store.ErrLocked, by)
	case errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.EOPNOTSUPP),
		errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EINVAL):
		return nil, fmt.Errorf("lock %q: %w", name, noLocks{bare(err)})
	case err != nil:
		return nil, fmt.Errorf("lock %q: %w", name, bare(err))
	}
	if err := writeOwner(disk, dir); err != nil {
		_ = unlock(disk, dir, l) // the first error is the cause

		return nil, err
	}

	return l, nil
}

// unlock removes the OWNER file before it releases the lock, so that it never removes the file of a later owner.
func unlock(disk vfs.FS, dir string, l io.Closer) error {
	err := disk.Remove(disk.PathJoin(dir, ownerName))
	if errors.Is(err, fs.ErrNotExist) { // it has already been removed by hand
		err = nil
	}

	return errors.Join(err, l.Close())
}
