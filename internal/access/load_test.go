//go:build unix

package access_test

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(name, []byte("user u token="+hash1+"\nuser"), 0o600))
	_, err := access.Load(name)
	require.EqualError(t, err, name+":2: user: the name is missing: write e.g. user deploy token=sha256:HASH")

	require.NoError(t, os.WriteFile(name, []byte("user u token="+hash1), 0o600))
	p, err := access.Load(name)
	require.NoError(t, err)
	require.Equal(t, name, p.File())
	require.Equal(t, parse(t, "user u token="+hash1).Hash(), p.Hash())

	require.NoError(t, os.Chmod(name, 0o644))
	_, err = access.Load(name)
	require.ErrorContains(t, err, "tokens file: other users can use "+name)

	require.NoError(t, os.Remove(name))
	require.NoError(t, syscall.Mkfifo(name, 0o600))
	_, err = access.Load(name)
	require.EqualError(t, err, "tokens file: "+name+" is not a regular file: name a file")
}

func TestLoadKey_CreatesOneKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "login.key")
	keys := make([][]byte, 8)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() { keys[i], _ = access.LoadKey(name) })
	}
	all.Wait()
	require.Len(t, keys[0], 32)
	for _, key := range keys {
		require.Equal(t, keys[0], key)
	}
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary files are left")
}

func TestLoadKey_RefusesWhatIsNoKey(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "login.key")
	require.NoError(t, os.WriteFile(name, []byte("short"), 0o600))
	_, err := access.LoadKey(name)
	require.EqualError(t, err, "login key: "+name+" has 5 bytes, but a key has 32: "+
		"remove the file, and users have to log in again")
	require.NoError(t, os.Chmod(name, 0o644))
	_, err = access.LoadKey(name)
	require.ErrorContains(t, err, "login key: other users can use "+name)
	_, err = access.LoadKey(filepath.Join(name, "x"))
	require.Error(t, err)
	_, err = access.LoadKey(filepath.Join(t.TempDir(), "none", "login.key"))
	require.ErrorContains(t, err, "create the login key: open ")
}
