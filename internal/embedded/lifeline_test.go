//go:build unix

package embedded

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/clock"
	"tenure/internal/programs/programstest"
)

// Tests that need a lock to be released do not run in parallel with other tests. A process that another test starts
// inherits all open files, including locked ones, and keeps them open until it executes its program.

// client returns the client's and the host's view of the lifelines in a directory that no process serves.
func client(t *testing.T) (*Local, *lifelines) {
	t.Helper()
	dir := openedDir(t, stateDir(t))

	return &Local{dir: dir, clock: clock.System()}, &lifelines{dir: dir}
}

func lifeline(t *testing.T, l *Local, key string) *Lifeline {
	t.Helper()
	line, err := l.Lifeline(t.Context(), []byte(key))
	require.NoError(t, err)

	return line
}

// die closes a lifeline as the end of the process would.
func die(t *testing.T, line *Lifeline) {
	t.Helper()
	require.NoError(t, line.file.Close())
}

func files(t *testing.T, l *lifelines) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(l.dir.join(lifelinesName))
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}

	return names
}

// E4: a lifeline is cut if its file exists and no process has it locked.
func TestLifeline_Cut(t *testing.T) {
	l, lines := client(t)
	key := "a secret \x00\xff"
	require.False(t, lines.Cut(key), "the lifeline does not exist yet")

	line := lifeline(t, l, key)
	require.False(t, lines.Cut(key))
	require.Len(t, files(t, lines), 1)
	require.NotContains(t, files(t, lines)[0], hex.EncodeToString([]byte(key))[:16])
	info, err := line.File().Stat()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	require.False(t, lines.Cut("another"))

	die(t, line)
	require.True(t, lines.Cut(key))
	require.True(t, lines.Cut(key), "the first Cut changed the result")

	line = lifeline(t, l, key)
	require.False(t, lines.Cut(key))
	line.Release()
	require.Empty(t, files(t, lines))
	require.False(t, lines.Cut(key), "the client has released the lifeline and has not died")
	(*Lifeline)(nil).Release()
}

// A lifeline is not cut while a process that has inherited it is alive.
func TestLifeline_Inherited(t *testing.T) {
	l, lines := client(t)
	line := lifeline(t, l, "key")
	child := exec.CommandContext(t.Context(), "cat")
	child.ExtraFiles = []*os.File{line.File()}
	stdin, err := child.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	die(t, line)
	require.False(t, lines.Cut("key"))
	require.NoError(t, stdin.Close())
	require.NoError(t, programstest.Wait(t, child))
	require.True(t, lines.Cut("key"))
}

// Lifeline waits while another process has locked the file, but not after the context has ended.
func TestLifeline_Waits(t *testing.T) {
	t.Parallel()
	l, lines := client(t)
	other := lifeline(t, l, "key")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("enough"))
	_, err := l.Lifeline(ctx, []byte("key"))
	require.EqualError(t, err, "lock lifeline: enough")

	got := make(chan *Lifeline)
	go func() {
		line, err := l.Lifeline(t.Context(), []byte("key"))
		if err != nil {
			t.Error(err)
		}
		got <- line
	}()
	die(t, other)
	line := <-got
	require.False(t, lines.Cut("key"))
	line.Release()
}

// A state directory that was removed is created again.
func TestLifeline_DirectoryRemoved(t *testing.T) {
	l, lines := client(t)
	require.NoError(t, os.RemoveAll(l.dir.path))
	line := lifeline(t, l, "key")
	require.Len(t, files(t, lines), 1)
	line.Release()
	info, err := os.Stat(l.dir.path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	require.NoError(t, os.Remove(l.dir.join(lifelinesName)))
	require.NoError(t, os.WriteFile(l.dir.join(lifelinesName), nil, 0o600))
	_, err = l.Lifeline(t.Context(), []byte("key"))
	require.ErrorContains(t, err, "make lifeline: state directory")
	require.ErrorContains(t, err, "not a directory")
}

// A sweep removes the lifelines that were already cut at the previous sweep, and no others.
func TestSweep(t *testing.T) {
	l, lines := client(t)
	held := lifeline(t, l, "held")
	die(t, lifeline(t, l, "dead"))
	require.NoError(t, lines.sweep())
	require.Len(t, files(t, lines), 2)
	require.True(t, lines.Cut("dead"), "it stays until the next sweep, so that the server can end the session first")

	die(t, lifeline(t, l, "dead later"))
	again := lifeline(t, l, "dead") // the client is back
	require.NoError(t, lines.sweep())
	require.Len(t, files(t, lines), 3)

	die(t, again)
	require.NoError(t, lines.sweep())
	require.Len(t, files(t, lines), 2)
	require.False(t, lines.Cut("dead later"))
	require.True(t, lines.Cut("dead"), "it was not cut at the previous sweep")

	require.NoError(t, lines.sweep())
	require.Len(t, files(t, lines), 1)
	die(t, lifeline(t, l, "dead")) // a new lifeline with the same key
	require.NoError(t, lines.sweep())
	require.True(t, lines.Cut("dead"))
	require.NoError(t, lines.sweep())
	require.Len(t, files(t, lines), 1)
	require.True(t, isAt(held.file.Name(), held.file))
	held.Release()
	require.NoError(t, lines.sweep())
	require.Empty(t, files(t, lines))
}

// E3: while a client holds a lifeline, its file is at the path where the host looks for it, even if the host sweeps
// lifelines at the same time.
func TestLifeline_MadeWhileSwept(t *testing.T) {
	t.Parallel()
	l, lines := client(t)
	const clients, rounds = 4, 300
	var done atomic.Bool
	var hosts, working sync.WaitGroup
	hosts.Go(func() {
		for !done.Load() {
			if err := lines.sweep(); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range clients {
		key := fmt.Sprint(i)
		hosts.Go(func() {
			for !done.Load() {
				lines.Cut(key)
			}
		})
		working.Go(func() {
			for range rounds {
				line, err := l.Lifeline(t.Context(), []byte(key))
				if err != nil {
					t.Error(err)

					return
				}
				switch {
				case !isAt(line.file.Name(), line.file):
					t.Error("a held lifeline is not at its path")
				case lines.Cut(key):
					t.Error("a held lifeline is reported as cut")
				}
				_ = line.file.Close() // leaves the file, so that sweep removes it while the client creates the next one
			}
		})
	}
	working.Wait()
	done.Store(true)
	hosts.Wait()
}

// Concurrent calls of Cut do not take each other's lock for that of a living process.
func TestLifeline_CutForAll(t *testing.T) {
	l, lines := client(t)
	die(t, lifeline(t, l, "key"))
	inParallel(make([]int, 8), func(int, int) {
		for range 200 {
			if !lines.Cut("key") {
				t.Error("Cut returned false, but no process has the lifeline")

				return
			}
		}
	})
}

// The error says so if the file system does not support locks.
func TestLockError(t *testing.T) {
	t.Parallel()
	d := &directory{path: "/dir", setting: "--dir"}
	for _, err := range []error{
		syscall.ENOLCK, syscall.ENOSYS, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.EINVAL,
		&os.SyscallError{Syscall: "flock", Err: syscall.ENOLCK},
	} {
		got := d.lockError(err)
		require.ErrorIs(t, got, err)
		require.EqualError(t, got, fmt.Sprintf(`state directory "/dir": its file system does not support file locks (%v): `+
			"choose a directory on a local disk with --dir or TENURE_DIR", err))
	}
	require.EqualError(t, d.lockError(syscall.EIO),
		`state directory "/dir": input/output error: choose another with --dir or TENURE_DIR`)
}

// tryLock returns an error for a closed file, instead of reporting that another process has locked it.
func TestTryLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	a, err := os.Create(path)
	require.NoError(t, err)
	b, err := os.Open(path)
	require.NoError(t, err)
	defer b.Close()
	requireLock := func(f *os.File, want bool) {
		got, err := tryLock(f)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	requireLock(a, true)
	requireLock(a, true)
	requireLock(b, false)
	require.NoError(t, a.Close())
	requireLock(b, true)
	_, err = tryLock(a)
	require.Error(t, err)
}
