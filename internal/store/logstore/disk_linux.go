package logstore

import (
	"os"

	"golang.org/x/sys/unix"
)

// osFile is a file of the operating system.
type osFile struct{ *os.File }

// Sync does not write times, which a log does not need.
func (f osFile) Sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// freeSpace returns the space that is left for this user on the disk of a directory.
func freeSpace(dir string) (int64, error) {
	var s unix.Statfs_t
	for {
		if err := unix.Statfs(dir, &s); err != unix.EINTR {
			return int64(s.Bavail * uint64(s.Bsize)), os.NewSyscallError("statfs", err)
		}
	}
}
