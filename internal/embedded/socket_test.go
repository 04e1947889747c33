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

// openedDir returns a state directory that is open until the test ends.
func openedDir(t *testing.T, path string) *directory {
	t.Helper()
	d, err := openDirectory(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.close() }) // the test may have done it

	return d
}

// longDir returns the name of a state directory, not there yet, that leaves a socket no room for its own name.
func longDir(t *testing.T) string {
	t.Helper()

	return filepath.Join(t.TempDir(), strings.Repeat("long-", 40), "state")
}

// requireAnswers dials the socket and is heard on the other side.
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

// A host that was killed leaves a socket, which the next one replaces and then removes; and so with a name that is too
// long for a socket, on systems that know another way to it.
func TestListen_InPlaceOfALeftOverSocket(t *testing.T) {
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
			require.NoError(t, leftOver.Listener.Close()) // leaves the file, as a kill does
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

// A host that is not the one any more that clients find leaves the other one's socket alone, also when its own is
// closed again and the system has given the number of its file to another one.
func TestSocket_CloseOfAReplacedOne(t *testing.T) {
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

// What is not a socket is not for a host to remove.
func TestListen_InItsPlace(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(path string) error{
		"a file":            func(path string) error { return os.WriteFile(path, []byte("mine"), 0o600) },
		"an empty file":     func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a directory":       func(path string) error { return os.Mkdir(path, 0o700) },
		"a link to nowhere": func(path string) error { return os.Symlink("/none/such", path) },
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

// Where the system has no other way to a directory, a name that is too long is refused by one clear line.
func TestAddress_TooLong(t *testing.T) {
	t.Parallel()
	d := openedDir(t, longDir(t))
	elsewhere, err := os.Open(t.TempDir())
	require.NoError(t, err)
	defer elsewhere.Close()
	there := &directory{d.path, elsewhere} // the descriptor leads to another directory, as none does without /proc
	_, err = there.address(socketName)
	require.ErrorContains(t, err, d.path+`": the path of a socket in it is longer than `)
	require.ErrorContains(t, err, "--dir or TENURE_DIR")
	require.NotContains(t, err.Error(), "\n")

	short := filepath.Join("/", strings.Repeat("x", maxSocketPath-len("//"+socketName)))
	address, err := (&directory{short, elsewhere}).address(socketName)
	require.NoError(t, err)
	require.Len(t, address, maxSocketPath)
	_, err = (&directory{short + "x", elsewhere}).address(socketName)
	require.Error(t, err)
}

// A longest name that is said to fit does.
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

// A take-over where only the way through a descriptor is short enough.
func TestLocal_LongName(t *testing.T) {
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
