//go:build unix

package server

import (
	"math"

	"golang.org/x/sys/unix"
)

// openFiles returns the number of files that the process may have open. Package os has raised it to the hard limit.
// It returns 0 if the number is unknown or does not matter.
func openFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	if uint64(limit.Cur) > math.MaxInt32 { //nolint:unconvert // it is signed on FreeBSD
		return 0
	}

	return int(limit.Cur) //nolint:gosec // it is at most MaxInt32
}
