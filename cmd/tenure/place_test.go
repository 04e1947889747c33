//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/programs/programstest"
)

// Another server can start at the path of a data directory that was removed, so the server must not answer any more.
func TestServe_EndsWhenItsDataDirectoryIsRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	cmd, _, stderr := process(t, "serve", "--listen", "127.0.0.1:0", "--data", dir)
	require.NoError(t, os.Rename(dir, dir+".old"))
	require.Error(t, programstest.Wait(t, cmd))
	require.Equal(t, 125, cmd.ProcessState.ExitCode())
	require.Contains(t, stderr.String(), `tenure: store "`+dir+`" has stopped: "`+filepath.Join(dir, "LOCK")+
		`" was removed or replaced: do not change the directory while a process uses it`)
}

// The data directory contains the protection keys of all sessions.
func TestServe_MakesItsDataDirectoryPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	s := startServing(t, nil, "--data", dir)
	defer s.stop()
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}
