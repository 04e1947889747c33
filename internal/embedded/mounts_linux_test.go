package embedded

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// OwnMounts calls Again to run the calling test in a process that may mount file systems. These mounts are visible only
// to that process and end with it. If the user is not root, the process is root in a user namespace.
func OwnMounts(t *testing.T) (here bool) {
	t.Helper()
	attr := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		attr.Unshareflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}

	return Again(t, attr)
}

// Tmpfs mounts a tmpfs with the options and returns its directory. The caller must have called OwnMounts.
func Tmpfs(t *testing.T, options string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(dir, 0o700))
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,"+options)
	if refused(err) {
		t.Skipf("the system does not allow a tmpfs: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })

	return dir
}

// On a read-only disk, Open returns a clear error in one line, whatever the disk contains.
func TestOpen_ReadOnly(t *testing.T) {
	t.Parallel()
	if !OwnMounts(t) {
		return
	}
	for name, prepare := range map[string]func(t *testing.T, dir string){
		"an empty directory": func(*testing.T, string) {},
		"a state directory":  func(t *testing.T, dir string) { t.Helper(); openedDir(t, dir) },
		"a store":            func(t *testing.T, dir string) { t.Helper(); closed(t, open(t, dir)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := Tmpfs(t, "size=16m")
			state := filepath.Join(dir, "state")
			prepare(t, state)
			require.NoError(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
			for range 2 {
				_, err := Open(t.Context(), Config{Dir: state})
				require.ErrorIs(t, err, syscall.EROFS)
				require.NotContains(t, err.Error(), "\n")
				require.Contains(t, err.Error(), state)
				require.Contains(t, err.Error(), "choose another")
				t.Log(err)
			}
			require.NoError(t, unix.Mount("", dir, "", unix.MS_REMOUNT, ""))
			open(t, state)
		})
	}
}

// If the disk is read-only when this process has to become the host, a notice says so. When the disk is writable again,
// the process becomes the host.
func TestLocal_BecomesReadOnly(t *testing.T) {
	t.Parallel()
	if !OwnMounts(t) {
		return
	}
	dir := Tmpfs(t, "size=16m")
	state := filepath.Join(dir, "state")
	a := open(t, state)
	var told notices
	l, err := Open(t.Context(), Config{Dir: state, Notice: told.add})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close(context.WithoutCancel(t.Context()))) }()
	closed(t, a)
	require.NoError(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	dialled := make(chan error)
	go func() {
		conn, err := l.Dial(t.Context())
		if err == nil {
			err = conn.Close()
		}
		dialled <- err
	}()
	await(t, "a notice", func() bool { return len(told.all()) > 0 })
	require.Contains(t, told.all()[0], "read-only")
	require.Contains(t, told.all()[0], state)
	require.NoError(t, unix.Mount("", dir, "", unix.MS_REMOUNT, ""))
	require.NoError(t, <-dialled)
	requireHost(t, l)
	require.Len(t, told.all(), 1)
}
