package dsn_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Another user may have put a server of their own at the path. The kernel tells who began to listen.
func TestAddress_OpenSocketOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	const other = 4711
	dir := t.TempDir()
	path := filepath.Join(dir, "socket")
	require.NoError(t, os.Chmod(dir, 0o777))
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o777))
	lis, err := listenAs(t, other, path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = lis.Close() })

	_, err = open(t, "unix://"+path, "", 10*time.Second)
	require.EqualError(t, err, fmt.Sprintf("the server at %s belongs to the user %d, and not to this user or root: if "+
		"that is right, write unix://%s?user=%d in --ydb", path, other, path, other))
	_, err = open(t, fmt.Sprintf("unix://%s?user=%d", path, other), "", 100*time.Millisecond)
	require.ErrorContains(t, err, "it accepts connections but sends nothing")
}

func listenAs(t *testing.T, uid uintptr, path string) (net.Listener, error) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	become := func(uid uintptr) {
		const same = ^uintptr(0)
		_, _, err := unix.RawSyscall(unix.SYS_SETRESUID, same, uid, same) // of this thread only
		require.Zero(t, err)
	}
	become(uid)
	defer become(0)

	return net.Listen("unix", path)
}
