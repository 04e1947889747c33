package logstore

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"tenure/internal/store"
)

// lock locks the directory and then writes the OWNER file, so that other processes can report which process has the
// lock. A failed attempt is cheap, because other processes may try every few milliseconds.
func (s *Store) lock() (io.Closer, error) {
	l, err := s.disk.Lock(LockName)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		by := ""
		if f, err := s.disk.Open(ownerName); err == nil {
			if owner, ok := readOwner(f); ok {
				by = " by " + owner.String()
			}
			_ = f.Close()
		}

		return nil, fmt.Errorf("%w%s: stop that process, or choose another directory", store.ErrLocked, by)
	case errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.EOPNOTSUPP),
		errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EINVAL):
		return nil, s.fault("lock", LockName, noLocks{bare(err)})
	case err != nil:
		return nil, s.fault("lock", LockName, err)
	}
	if err := writeOwner(s.disk); err != nil {
		_ = s.disk.Remove(ownerName)
		_ = l.Close() // the first error is the cause

		return nil, s.fault("write", ownerName, err)
	}

	return l, nil
}
