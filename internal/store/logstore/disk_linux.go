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
