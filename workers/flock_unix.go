//go:build unix

package workers

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// flock locks the file if nobody else has locked it. Processes that inherit the descriptor share the lock.
func flock(f *os.File) (locked bool, err error) {
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}

	return err == nil, err
}
