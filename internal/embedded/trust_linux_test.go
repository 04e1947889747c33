package embedded

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// asNobody calls f in a thread that runs as the user nobody. The thread lives on: the system kills the processes with a
// parent death signal that it has started when it ends.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can run as another user")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	become := func(uid uintptr) {
		const same = ^uintptr(0)
		_, _, err := unix.RawSyscall(unix.SYS_SETRESUID, same, uid, same) // of this thread only
		require.Zero(t, err)
	}
	become(nobody)
	defer become(0)
	f()
}

// If the modes of the directory do not keep other users out, the host does: it closes their connections.
func TestHost_RefusesAnotherUser(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	open(t, dir)
	for _, path := range []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
		require.NoError(t, os.Chmod(path, 0o755))
	}
	for _, name := range []string{socketName, statusName} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.Chmod(path, 0o777))
		var ours, theirs net.Conn
		var err error
		ours, err = net.Dial("unix", path)
		require.NoError(t, err)
		defer ours.Close()
		asNobody(t, func() { theirs, err = net.Dial("unix", path) })
		require.NoError(t, err)
		defer theirs.Close()
		require.NoError(t, theirs.SetReadDeadline(time.Now().Add(soon)))
		_, err = theirs.Read(make([]byte, 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it is closed")
		if name == socketName { // a gRPC server starts by sending its settings
			_, err = ours.Read(make([]byte, 1))
			require.NoError(t, err)
		}
	}
}

// A client sends nothing to a server of another user, who would get its protection key.
func TestDial_RefusesTheServerOfAnotherUser(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	require.NoError(t, os.Mkdir(dir, 0o700))
	var lis net.Listener
	var err error
	for _, path := range []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
		require.NoError(t, os.Chmod(path, 0o777))
	}
	asNobody(t, func() { lis, err = net.Listen("unix", filepath.Join(dir, socketName)) })
	require.NoError(t, err)
	defer lis.Close()
	for _, path := range []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
		require.NoError(t, os.Chmod(path, 0o700))
	}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	_, err = Open(ctx, Config{Dir: dir})
	require.EqualError(t, err, `state directory "`+dir+`": connect to its socket: `+
		"the process that serves there belongs to user 65534: end that process")
}

// A FIFO in the place of a file is an error, or is replaced. Nothing waits for its other end.
func TestOpen_DoesNotWaitForAFIFO(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"LOCK", "OWNER", "VERSION", "ACKED", "00000001.log", socketName, statusName, lifelinesName,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := stateDir(t)
			closed(t, open(t, dir))
			path := filepath.Join(dir, name)
			require.NoError(t, os.RemoveAll(path))
			require.NoError(t, syscall.Mkfifo(path, 0o600))
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			defer cancel()
			l, err := Open(ctx, Config{Dir: dir})
			require.NoError(t, ctx.Err())
			if err == nil {
				closed(t, l)

				return
			}
			require.ErrorContains(t, err, path)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

// The path to the directory must not let another user put a directory of their own in its place.
func TestOpen_RefusesAnUnsafePath(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to other users")
	}
	parent := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(parent), 0o755)) // otherwise nobody gets here
	dir := filepath.Join(parent, "state")
	require.NoError(t, os.Chmod(parent, 0o777))
	_, err := Open(t.Context(), Config{Dir: dir, DirSetting: "--dir"})
	require.EqualError(t, err, `state directory "`+dir+`" is not safe: every user can write to "`+parent+
		`" and so replace what is in it: run: chmod o-w `+parent+", or choose another with --dir or TENURE_DIR")
	require.NoDirExists(t, dir)

	require.NoError(t, os.Chmod(parent, fs.ModeSticky|0o777))
	closed(t, open(t, dir))

	link := filepath.Join(parent, "link")
	require.NoError(t, os.Symlink(dir, link))
	closed(t, open(t, link))
	require.NoError(t, os.Lchown(link, nobody, nobody))
	_, err = Open(t.Context(), Config{Dir: link, DirSetting: "--dir"})
	require.EqualError(t, err, `state directory "`+link+`" is not safe: "`+link+`" is a symbolic link of user 65534, `+
		"who can make it lead elsewhere: remove the link, or choose another with --dir or TENURE_DIR")
}
