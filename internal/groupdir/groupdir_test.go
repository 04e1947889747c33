//go:build unix

package groupdir

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// opened returns a directory with the mode.
func opened(t *testing.T, mode fs.FileMode) (_ *Dir, path string) {
	t.Helper()
	path = t.TempDir()
	require.NoError(t, os.Chmod(path, mode))
	d, err := Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })

	return d, path
}

func requireMode(t *testing.T, want fs.FileMode, path string) {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, want, info.Mode()&^fs.ModeType)
}

func TestShared(t *testing.T) {
	t.Parallel()
	for mode, shared := range map[fs.FileMode]bool{
		0o770:                 true,
		0o770 | fs.ModeSetgid: true,
		0o770 | fs.ModeSticky: false, // members cannot replace files of others
		0o770 | fs.ModeSetuid: false,
		0o700:                 false,
		0o700 | fs.ModeSetgid: false,
		0o750:                 false,
		0o775 | fs.ModeSetgid: false,
		0o777 | fs.ModeSticky: false,
	} {
		require.Equal(t, shared, Shared(mode|fs.ModeDir), "%v", mode)
		require.False(t, Shared(mode), "a file")
	}
}

// Every way to make a file ends with the same mode, in a private directory and in a shared one.
func TestDir_Modes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ dir, file, sub fs.FileMode }{
		{0o700, 0o600, 0o700},
		{0o770, 0o660, 0o770},
		{0o770 | fs.ModeSetgid, 0o660, 0o770 | fs.ModeSetgid},
	} {
		d, path := opened(t, c.dir)
		require.NoError(t, d.Mkdir("sub"))
		require.NoError(t, d.Mkdir("sub")) // it exists
		requireMode(t, c.sub, filepath.Join(path, "sub"))
		for _, open := range []func(string) (*os.File, error){d.OpenFile, d.Create, d.OpenFile, d.Create} {
			f, err := open("sub/file")
			require.NoError(t, err)
			_, err = f.WriteString("text")
			require.NoError(t, err)
			require.NoError(t, f.Close())
			requireMode(t, c.file, filepath.Join(path, "sub", "file"))
		}
		entries, err := os.ReadDir(filepath.Join(path, "sub"))
		require.NoError(t, err)
		require.Len(t, entries, 1, "temporary files are gone")
	}
}

// A file in the place of a directory is an error.
func TestDir_MkdirOverAFile(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o700, 0o770} {
		d, path := opened(t, mode)
		require.NoError(t, os.WriteFile(filepath.Join(path, "sub"), nil, 0o600))
		require.ErrorIs(t, d.Mkdir("sub"), syscall.ENOTDIR)
	}
}

// No symbolic link leads to a file outside of the directory, and no hard link to another file of this user.
func TestDir_Links(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(outside, []byte("mine"), 0o600))
	d, path := opened(t, 0o770)
	require.NoError(t, os.Symlink(filepath.Dir(outside), filepath.Join(path, "sub")))
	_, err := d.OpenFile("sub/file")
	require.Error(t, err)
	_, err = d.Create("sub/file")
	require.Error(t, err)
	require.NoError(t, os.Symlink(outside, filepath.Join(path, "file")))
	_, err = d.OpenFile("file")
	require.Error(t, err)
	require.NoError(t, d.Repair())
	requireMode(t, 0o600, outside)
	f, err := d.Create("file") // replaces the link
	require.NoError(t, err)
	require.NoError(t, f.Close())

	require.NoError(t, os.Link(outside, filepath.Join(path, "hard")))
	require.ErrorContains(t, d.Repair(), `"hard" in it belongs to user `)
	requireMode(t, 0o600, outside)
	text, err := os.ReadFile(outside)
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))
}

// Repair gives the group access to what was made while the directory was private.
func TestDir_Repair(t *testing.T) {
	t.Parallel()
	d, path := opened(t, 0o770)
	require.NoError(t, os.Mkdir(filepath.Join(path, "sub"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(path, "sub", "file"), nil, 0o600))
	unfinished := filepath.Join(path, "sub", temporaryName("file"))
	require.NoError(t, os.WriteFile(unfinished, nil, 0o600))
	require.NoError(t, d.Repair())
	requireMode(t, 0o600, unfinished)
	requireMode(t, 0o770, filepath.Join(path, "sub"))
	requireMode(t, 0o660, filepath.Join(path, "sub", "file"))
}
