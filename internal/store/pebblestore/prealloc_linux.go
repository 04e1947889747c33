package pebblestore

import (
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// preallocate reserves space for the file and also sets its size. Pebble's own Preallocate leaves the size unchanged.
// Each commit would then extend the file and its sync would have to write the new size as well. On ext4 such a sync
// took 128 µs instead of 97 µs.
func preallocate(f vfs.File, offset, length int64) error {
	if f.Fd() == vfs.InvalidFd {
		return f.Preallocate(offset, length)
	}

	fd := int(f.Fd())
	var was unix.Stat_t
	if err := unix.Fstat(fd, &was); err != nil {
		return err
	}
	err := unix.Fallocate(fd, 0, offset, length)
	if err != nil { // a failed Fallocate may have taken all remaining space of a full disk, so return it
		_ = unix.Ftruncate(fd, was.Size)
	}

	return err
}

// syncData makes the data of the file durable.
func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
