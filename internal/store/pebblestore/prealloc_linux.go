package pebblestore

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// preallocate gives the file its space and its size. Pebble would leave the size as it is; then each commit makes the
// file longer and its sync has to write the new size as well, which took 128 µs in place of 97 µs on ext4.
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
	if err != nil { // gives back what was granted of it, which is all that a full disk had
		_ = unix.Ftruncate(fd, was.Size)
	}

	return err
}
