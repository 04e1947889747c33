//go:build unix

package embedded

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// openedDir opens a state directory until the test ends.
func openedDir(t *testing.T, path string) *directory {
	t.Helper()
	d, err := openDirectory(path, "--dir")
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.close() }) // the test may have closed it already

	return d
}

// longDir returns the path of a missing state directory that is too long for the path of a socket in it.
func longDir(t *testing.T) string {
	t.Helper()

	return filepath.Join(t.TempDir(), strings.Repeat("long-", 40), "state")
}

// requireAnswers dials the path of the socket and requires that s accepts the connection.
func requireAnswers(t *testing.T, d *directory, s *socket) {
	t.Helper()
	address, err := d.address(socketName)
	require.NoError(t, err)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", address)
	require.NoError(t, err)
	other, err := s.Accept()
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, other.Close())
}

// A killed host leaves its socket behind. The next host replaces the socket, and removes its own when it stops. This
// includes paths that are too long for a socket, on systems that offer a shorter path to the same directory.
func TestListen_ReplacesALeftOverSocket(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"short": stateDir(t), "long": longDir(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openedDir(t, path)
			if _, err := d.address(socketName); err != nil {
				t.Skipf("not on this system: %v", err)
			}
			leftOver, err := d.listen(socketName)
			require.NoError(t, err)
			require.NoError(t, leftOver.Listener.Close()) // like a kill, this leaves the file behind
			require.FileExists(t, leftOver.path)

			s, err := d.listen(socketName)
			require.NoError(t, err)
			require.True(t, s.inPlace())
			requireAnswers(t, d, s)
			require.NoError(t, s.Close())
			require.NoFileExists(t, s.path)
		})
	}
}

// A host whose socket was replaced does not remove the new socket when it closes its own. This holds even if it closes
// its own socket again after the system has reused the inode number for the new one.
func TestSocket_CloseAfterReplacement(t *testing.T) {
	t.Parallel()
	d := openedDir(t, stateDir(t))
	old, err := d.listen(socketName)
	require.NoError(t, err)
	require.True(t, old.inPlace())
	s, err := d.listen(socketName)
	require.NoError(t, err)
	require.False(t, old.inPlace())
	require.NoError(t, old.Close())
	requireAnswers(t, d, s)
	require.NoError(t, s.Close())

	for range 100 {
		s, err := d.listen(socketName)
		require.NoError(t, err)
		require.NoError(t, old.Close())
		requireAnswers(t, d, s)
		require.NoError(t, s.Close())
		old = s
	}
}

// A host does not remove a file that is not a socket.
func TestListen_NotASocket(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(path string) error{
		"a file":          func(path string) error { return os.WriteFile(path, []byte("mine"), 0o600) },
		"an empty file":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a directory":     func(path string) error { return os.Mkdir(path, 0o700) },
		"a dangling link": func(path string) error { return os.Symlink("/none/such", path) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := stateDir(t)
			path := openedDir(t, dir).join(socketName)
			require.NoError(t, put(path))
			before, err := os.Lstat(path)
			require.NoError(t, err)

			_, err = Open(t.Context(), Config{Dir: dir})
			require.Error(t, err)
			line := err.Error()
			require.NotContains(t, line, "\n")
			require.Contains(t, line, dir+`/socket" is not a socket: move it away`)
			after, err := os.Lstat(path)
			require.NoError(t, err)
			require.True(t, os.SameFile(before, after))

			require.NoError(t, os.Rename(path, path+".away"))
			open(t, dir)
		})
	}
}

// If the system offers no shorter path to the directory, a path that is too long is an error in one clear line.
func TestAddress_TooLong(t *testing.T) {
	t.Parallel()
	d := openedDir(t, longDir(t))
	elsewhere, err := os.Open(t.TempDir())
	require.NoError(t, err)
	defer elsewhere.Close()
	// Without /proc, no path through the descriptor leads to the directory.
	there := &directory{path: d.path, file: elsewhere, setting: "--dir"}
	_, err = there.address(socketName)
	require.ErrorContains(t, err, d.path+`": the path of a socket in it is longer than `)
	require.ErrorContains(t, err, "--dir or TENURE_DIR")
	require.NotContains(t, err.Error(), "\n")

	short := filepath.Join("/", strings.Repeat("x", maxSocketPath-len("//"+socketName)))
	address, err := (&directory{path: short, file: elsewhere, setting: "--dir"}).address(socketName)
	require.NoError(t, err)
	require.Len(t, address, maxSocketPath)
	_, err = (&directory{path: short + "x", file: elsewhere, setting: "--dir"}).address(socketName)
	require.Error(t, err)
}

// A path of the maximum length works.
func TestAddress_Longest(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, strings.Repeat("x", maxSocketPath-len(parent)-len("//"+socketName)))
	d := openedDir(t, dir)
	address, err := d.address(socketName)
	require.NoError(t, err)
	require.Equal(t, d.join(socketName), address)
	s, err := d.listen(socketName)
	require.NoError(t, err)
	requireAnswers(t, d, s)
	require.NoError(t, s.Close())
}

// A take-over works if the path through a descriptor is the only one that is short enough.
func TestLocal_LongPath(t *testing.T) {
	t.Parallel()
	dir := longDir(t)
	if _, err := openedDir(t, dir).address(socketName); err != nil {
		t.Skipf("not on this system: %v", err)
	}
	a, b := open(t, dir), open(t, dir)
	requireHost(t, a, b)
	dial(t, b)
	require.NoError(t, a.Close(context.WithoutCancel(t.Context())))
	dial(t, b)
	requireHost(t, b)
	require.NoError(t, b.Close(context.WithoutCancel(t.Context())))
	require.NoFileExists(t, filepath.Join(dir, socketName))
	require.NoFileExists(t, filepath.Join(dir, statusName))
}
