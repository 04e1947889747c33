//go:build unix

package secretfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, mode fs.FileMode, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	require.NoError(t, os.Chmod(name, mode))

	return name
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o600, 0o400} {
		content, err := Read(write(t, mode, "12345"), 5)
		require.NoError(t, err)
		require.Equal(t, "12345", string(content))
	}

	_, err := Read(write(t, 0o600, "123456"), 5)
	require.ErrorContains(t, err, "has more than 5 bytes: name another file")

	_, err = Read(filepath.Join(t.TempDir(), "none"), 5)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Regexp(t, `^cannot open /.*/none: no such file or directory$`, err.Error())
}

func TestRead_RefusesWhatOthersCanUse(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o604, 0o620, 0o602, 0o644, 0o666} {
		name := write(t, mode, "x")
		_, err := Read(name, 5)
		require.ErrorContains(t, err, "other users can use "+name+" (mode 0")
		require.ErrorContains(t, err, ": run chmod go-rwx "+name)
	}
}

// In Kubernetes, a secret is a link to a file in a directory that is replaced as a whole.
func TestRead_FollowsLinksAndChecksTheTarget(t *testing.T) {
	t.Parallel()
	target := write(t, 0o600, "x")
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(target, link))
	content, err := Read(link, 5)
	require.NoError(t, err)
	require.Equal(t, "x", string(content))

	require.NoError(t, os.Chmod(target, 0o644))
	_, err = Read(link, 5)
	require.ErrorContains(t, err, "other users can use "+link)
}

func TestRead_DoesNotWaitForAFIFO(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(name, 0o600))
	for _, name := range []string{name, t.TempDir(), "/dev/zero"} {
		_, err := Read(name, 5)
		require.EqualError(t, err, name+" is not a regular file: name a file")
	}
}

func TestPrivateFor(t *testing.T) {
	t.Parallel()
	const us, another, root = 1000, 1001, 0
	for _, c := range []struct {
		user, owner int
		mode        fs.FileMode
		want        string
	}{
		{us, us, 0o600, ""},
		{us, us, 0o640, "other users can use f (mode 0640): run chmod go-rwx f"},
		{us, root, 0o640, ""}, // a package gives the file to the group of its service
		{us, root, 0o440, ""},
		{us, root, 0o660, "other users can use f (mode 0660): run chmod g-wx,o-rwx f"},
		{us, root, 0o644, "other users can use f (mode 0644): run chmod g-wx,o-rwx f"},
		{root, root, 0o640, ""}, // an administrator checks the files of a service
		{root, root, 0o660, "other users can use f (mode 0660): run chmod go-rwx f"},
		{us, another, 0o600, "f belongs to user 1001, but this process runs as user 1000: change its owner"},
		{root, us, 0o600, "f belongs to user 1000, but this process runs as user 0: change its owner"},
	} {
		err := privateFor(c.user, "f", c.owner, c.mode)
		if c.want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, c.want)
		}
	}
}
