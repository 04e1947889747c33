package logstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// errMoved says that the directory of an open store was removed or replaced. Another process could then open a store at
// the same path, and grant what this process has granted.
var errMoved = errors.New("was removed or replaced")

// InPlace returns an error, and stops the store, if the store is no longer at its path. A commit checks this before it
// returns. The caller should check it from time to time, because answers without a commit depend on it too.
func (s *Store) InPlace() error {
	err := s.inPlace()
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.stop(err)
}

func (s *Store) inPlace() error {
	d, ok := s.disk.(*osDisk)
	if !ok || d.locked == nil {
		return nil
	}
	at, err := os.Lstat(filepath.Join(d.at, LockName))
	if err == nil && os.SameFile(at, d.locked) {
		return nil
	}

	return fmt.Errorf("%q %w", filepath.Join(d.at, LockName), errMoved)
}
