//go:build unix

package logstore

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"tenure/internal/groupdir"
)

// lockFile locks a file with flock(2), and returns what the file is. Unlike fcntl(2), flock also excludes a second Open
// in the same process.
func lockFile(dir *groupdir.Dir, _, name string) (io.Closer, os.FileInfo, error) {
	f, err := dir.OpenFile(name)
	if err != nil {
		return nil, nil, err
	}
	for {
		switch err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			info, err := f.Stat()
			if err != nil {
				return nil, nil, errors.Join(err, f.Close())
			}

			return locked{f}, info, nil
		case !errors.Is(err, unix.EINTR):
			return nil, nil, errors.Join(err, f.Close())
		}
	}
}

// locked is a file with a lock.
type locked struct{ *os.File }

// Close unlocks the file before it closes it. A process that another goroutine is about to start has a copy of the
// descriptor until it executes its program, and the copy would keep the lock until then.
func (l locked) Close() error {
	return errors.Join(unix.Flock(int(l.Fd()), unix.LOCK_UN), l.File.Close())
}

// syncDir makes the entries of a directory durable.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}

	return errors.Join(f.Sync(), f.Close())
}
