package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/gofrs/flock"

	"tenure/internal/store"
)

// osFS is the operating system's file system with locks that also keep out other opens of the same process, however
// they spell the path. Pebble's own are fcntl locks.
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

// lock takes the lock of the directory and then writes down who has it, for those who come too late.
func lock(disk vfs.FS, dir string) (io.Closer, error) {
	l, err := disk.Lock(disk.PathJoin(dir, lockName))
	if errors.Is(err, syscall.EAGAIN) {
		return nil, fmt.Errorf("open store %q: %w%s: stop that process, or choose another directory",
			dir, store.ErrLocked, owner(disk, dir))
	}
	if err != nil {
		return nil, fmt.Errorf("lock store %q: %w", dir, err)
	}
	if err := writeOwner(disk, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %q: %w", dir, err), l.Close())
	}

	return l, nil
}

// unlock removes the owner's text before it gives up the lock, so that the text is never a later owner's.
func unlock(disk vfs.FS, dir string, l io.Closer) error {
	err := disk.Remove(disk.PathJoin(dir, ownerName))

	return errors.Join(err, l.Close())
}

func writeOwner(disk vfs.FS, dir string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	f, err := disk.Create(disk.PathJoin(dir, ownerName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "process %d on %s, %s", os.Getpid(), host, strings.Join(os.Args, " "))

	return errors.Join(err, f.Close())
}

// owner says who has the lock and since when, or nothing if that was not written down (yet). A process that was killed
// leaves its text; who takes the lock then writes its own within microseconds.
func owner(disk vfs.FS, dir string) string {
	f, err := disk.Open(disk.PathJoin(dir, ownerName))
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil || len(text) == 0 {
		return ""
	}
	info, err := f.Stat()
	if err != nil {
		return ""
	}

	return fmt.Sprintf(" by %s, since %s", text, info.ModTime().Format(time.RFC3339))
}
