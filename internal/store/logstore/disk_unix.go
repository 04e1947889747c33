//go:build unix

package logstore

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"tenure/internal/groupdir"
)

// lockFile locks a file with flock(2). Unlike fcntl(2), it also excludes a second Open in the same process.
func lockFile(dir *groupdir.Dir, _, name string) (io.Closer, error) {
	f, err := dir.OpenFile(name)
	if err != nil {
		return nil, err
	}
	for {
		switch err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EINTR):
			return nil, errors.Join(err, f.Close())
		}
	}
}

// syncDir makes the entries of a directory durable.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}

	return errors.Join(f.Sync(), f.Close())
}
