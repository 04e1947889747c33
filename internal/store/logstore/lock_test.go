package logstore

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

// TestStore_KilledProcess repeatedly kills a process while it commits. While the process runs, no other process can
// open the store. After the kill, all acknowledged commits are there.
func TestStore_KilledProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "missing", "store")
	for round := range 3 {
		p := start(t, dir, "for", fmt.Sprint("round", round))
		p.commits(t, 50)
		_, err := Open(dir, Options{})
		require.ErrorIs(t, err, store.ErrLocked)
		require.ErrorContains(t, err, fmt.Sprintf("by process %d on ", p.cmd.Process.Pid))
		require.ErrorContains(t, err, fmt.Sprintf(" (%s for round%d, since 20", os.Args[0], round))
		acked := p.kill(t)

		s, err := Open(dir, Options{})
		require.NoError(t, err)
		got := storetest.Records(t, s, 1)
		require.GreaterOrEqual(t, len(got), acked)
		for i := range got {
			require.Equal(t, fmt.Sprintf("\"%06d\"=\"v\"", i), got[i])
		}
		require.NoError(t, s.Commit(t.Context(), store.Batch{Space: 2, Drop: []store.Space{1}}))
		require.NoError(t, s.Close())
	}
	require.NoFileExists(t, filepath.Join(dir, ownerName))
	_, ok := Owner(dir)
	require.False(t, ok)
}

func TestOpen_Directory(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "store")
	s, err := Open(dir, Options{})
	require.NoError(t, err)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	// Another path to the same directory does not bypass the lock.
	link := filepath.Join(parent, "link")
	require.NoError(t, os.Symlink(dir, link))
	_, err = Open(link, Options{})
	require.ErrorIs(t, err, store.ErrLocked)
	require.ErrorContains(t, err, fmt.Sprintf("by process %d on ", os.Getpid()))
	require.ErrorContains(t, err, ", since 20")
	require.NoError(t, s.Close())

	s, err = Open(link, Options{})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestOpen_NotADirectory(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte("precious"), 0o600))
	_, err := Open(name, Options{})
	require.ErrorIs(t, err, syscall.ENOTDIR)
	require.EqualError(t, err, fmt.Sprintf("open store %q: mkdir %q: not a directory: part of the path is a file: "+
		"choose another directory", name, name))
	require.NotErrorIs(t, err, store.ErrDamaged)
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
}
