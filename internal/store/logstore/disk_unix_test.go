//go:build unix

package logstore

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A process that is about to be started has a copy of the descriptor of the lock, until it executes its program. It
// does not keep the store from being opened again.
func TestClose_CopyOfTheLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	require.NoError(t, err)
	duplicate, err := unix.Dup(int(s.held.(locked).Fd()))
	require.NoError(t, err)
	defer unix.Close(duplicate)
	require.NoError(t, s.Close())

	s, err = Open(dir, Options{})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}
