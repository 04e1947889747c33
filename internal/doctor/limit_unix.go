//go:build unix

package doctor

import "golang.org/x/sys/unix"

// OpenFiles returns the number of files that this process may open; 0 if it is not known.
func OpenFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}

	return uint64(limit.Cur) //nolint:gosec,unconvert // it is signed on FreeBSD
}
