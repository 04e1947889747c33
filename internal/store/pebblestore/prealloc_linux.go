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

	return unix.Fallocate(int(f.Fd()), 0, offset, length)
}
