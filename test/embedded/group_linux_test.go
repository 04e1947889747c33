package embedded

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The users and the group of these tests do not have to exist in the user database.
const (
	alice = 20_001
	bob   = 20_002
	carol = 20_003 // not a member of team
	team  = 20_100
)

// as returns the attributes of a process of the user.
func as(user uint32) syscall.SysProcAttr {
	c := &syscall.Credential{Uid: user, Gid: user}
	if user == alice || user == bob {
		c.Groups = []uint32{team}
	}

	return syscall.SysProcAttr{Credential: c}
}

// publicLock builds the command lock. It skips the test unless this process can run it as other users.
func publicLock(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can start processes of other users")
	}

	return buildLock(t)
}

// publicDir makes a directory that all users can reach.
func publicDir(t *testing.T, owner, group int, mode fs.FileMode) string {
	t.Helper()
	parent, err := os.MkdirTemp("", "group-") //nolint:usetesting // only root can reach the directory of t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(parent)) })
	require.NoError(t, os.Chmod(parent, 0o755))
	dir := filepath.Join(parent, "state")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, owner, group))
	require.NoError(t, os.Chmod(dir, mode))

	return dir
}

// requireShared requires that all members of the group can use every file in the directory.
func requireShared(t *testing.T, dir string) {
	t.Helper()
	sockets := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		want := fs.FileMode(0o660)
		switch {
		case e.IsDir():
			want = 0o770
		case e.Type() == fs.ModeSocket:
			sockets++
		}
		require.Equal(t, want, info.Mode().Perm(), path)
		require.EqualValues(t, team, info.Sys().(*syscall.Stat_t).Gid, path)

		return nil
	}))
	require.Equal(t, 2, sockets)
}

// Two users share a directory. When the host is killed, a process of the other user takes over and continues the store.
func TestGroup_TakesOver(t *testing.T) {
	t.Parallel()
	lock := publicLock(t)
	for _, c := range []struct {
		owner         int
		mode          fs.FileMode
		umask         string
		first, second uint32
	}{
		{alice, 0o770 | fs.ModeSetgid, "077", alice, bob},
		{alice, 0o770 | fs.ModeSetgid, "000", bob, alice},
		{alice, 0o770, "000", alice, bob},
		{alice, 0o770, "077", bob, alice},
		{0, 0o770 | fs.ModeSetgid, "077", 0, bob},
		{0, 0o770, "077", bob, 0},
	} {
		t.Run(fmt.Sprintf("owner %d, mode %v, umask %s, users %d and %d", c.owner, c.mode, c.umask, c.first, c.second),
			func(t *testing.T) {
				t.Parallel()
				dir := publicDir(t, c.owner, team, c.mode)
				start := func(user uint32, args ...string) *job {
					args = append([]string{"-c", "umask " + c.umask + `; exec "$@"`, "sh", lock}, args...)

					return startJob(t, "/bin/sh", dir, as(user), args...)
				}
				first := start(c.first, "a")
				first.prints("starting work")
				first.hosts(dir)
				requireShared(t, dir)
				second := start(c.second, "a")
				second.prints("waiting for a lock...")
				first.signal(syscall.SIGKILL)
				second.prints("starting work")
				second.hosts(dir)
				requireShared(t, dir)

				third := start(c.first, "b", "--", "sh", "-c", "umask; echo token $TENURE_TOKEN")
				third.prints("0" + c.umask) // COMMAND inherits it
				third.prints("token 3")
				third.ends(0)
				second.signal(syscall.SIGTERM)
				second.ends(0)
				start(c.first, "b", "--", "true").ends(0)
			})
	}
}

// The files of a directory that was private are closed to the group until a process of their owner repairs the modes.
func TestGroup_WasPrivate(t *testing.T) {
	t.Parallel()
	lock := publicLock(t)
	dir := publicDir(t, alice, alice, 0o700)
	startJob(t, lock, dir, as(alice), "a", "--", "true").ends(0)
	require.NoError(t, os.Chown(dir, alice, team))
	require.NoError(t, os.Chmod(dir, 0o770|fs.ModeSetgid))

	refused := startJob(t, lock, dir, as(bob), "a", "--", "true")
	refused.ends(125)
	require.Contains(t, refused.stderr.String(), "in it belongs to user 20001 and is closed to the group: end all "+
		"processes that use the directory, and run as user 20001, to repair the modes: tenure status --dir "+dir)

	holder := startJob(t, lock, dir, as(alice), "a")
	holder.prints("starting work")
	requireShared(t, dir)
	startJob(t, lock, dir, as(bob), "b", "--", "true").ends(0)
}

// A user who is not in the group cannot use the directory, and root does not make files in a directory of another user.
func TestGroup_Refuses(t *testing.T) {
	t.Parallel()
	lock := publicLock(t)
	private, shared := publicDir(t, alice, alice, 0o700), publicDir(t, alice, team, 0o770|fs.ModeSetgid)
	for name, c := range map[string]struct {
		dir  string
		user uint32
		want string
	}{
		"not in the group": {shared, carol, "belongs to user 20001 and group 20100, but this process runs as user 20003, " +
			"who is not in this group"},
		"root, shared":  {shared, 0, "belongs to user 20001, but this process runs as root"},
		"root, private": {private, 0, "belongs to user 20001, but this process runs as root"},
		"root, missing": {private + "/a/b", 0, `does not exist, and "` + private + `" belongs to user 20001`},
		"private":       {private, bob, "belongs to user 20001, but this process runs as user 20002"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := startJob(t, lock, c.dir, as(c.user), "a", "--", "true")
			j.ends(125)
			require.Contains(t, j.stderr.String(), c.want)
			require.NotContains(t, j.stderr.String(), "chown")
		})
	}
	t.Cleanup(func() {
		for _, dir := range []string{private, shared} {
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, entries)
		}
	})
}
