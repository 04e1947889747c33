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
)

// Tests that see a lock given up do not run beside others: until a process that is started there has become another
// program, it has what is open here.

// client returns what makes lifelines, and host what looks at them, of a directory that nobody serves.
func client(t *testing.T) (*Local, *lifelines) {
	t.Helper()
	dir := openedDir(t, stateDir(t))

	return &Local{dir: dir, clock: clock.System()}, &lifelines{dir: dir.path}
}

func lifeline(t *testing.T, l *Local, key string) *Lifeline {
	t.Helper()
	line, err := l.Lifeline(t.Context(), []byte(key))
	require.NoError(t, err)

	return line
}

// die does to a lifeline what the end of a process does.
func die(t *testing.T, line *Lifeline) {
	t.Helper()
	require.NoError(t, line.file.Close())
}

func files(t *testing.T, l *lifelines) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(l.dir, lifelinesName))
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}

	return names
}

// E4: a lifeline is cut if it is there and nobody has it.
func TestLifeline_Cut(t *testing.T) {
	l, lines := client(t)
	key := "a secret \x00\xff"
	require.False(t, lines.Cut(key), "there is none")

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
	require.True(t, lines.Cut(key), "a look changes nothing")

	line = lifeline(t, l, key)
	require.False(t, lines.Cut(key))
	line.Release()
	require.Empty(t, files(t, lines))
	require.False(t, lines.Cut(key), "its client was done with it, and has not died")
	(*Lifeline)(nil).Release()
}

// While a process lives that has inherited the lifeline, it is not cut.
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
	require.NoError(t, child.Wait())
	require.True(t, lines.Cut("key"))
}

// Somebody who has the lock for a moment is waited for; not for longer than the context lasts.
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

// A state directory that somebody has removed is made again.
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

// A sweep removes what the one before has found cut, and nothing else.
func TestSweep(t *testing.T) {
	l, lines := client(t)
	held := lifeline(t, l, "held")
	die(t, lifeline(t, l, "dead"))
	require.NoError(t, lines.sweep())
	require.Len(t, files(t, lines), 2)
	require.True(t, lines.Cut("dead"), "who loads its node has time to see that")

	die(t, lifeline(t, l, "dead later"))
	again := lifeline(t, l, "dead") // it has come back
	require.NoError(t, lines.sweep())
	require.Len(t, files(t, lines), 3)

	die(t, again)
	require.NoError(t, lines.sweep())
	require.Len(t, files(t, lines), 2)
	require.False(t, lines.Cut("dead later"))
	require.True(t, lines.Cut("dead"), "not cut at the sweep before this one")

	require.NoError(t, lines.sweep())
	require.Len(t, files(t, lines), 1)
	die(t, lifeline(t, l, "dead")) // a new one
	require.NoError(t, lines.sweep())
	require.True(t, lines.Cut("dead"))
	require.NoError(t, lines.sweep())
	require.Len(t, files(t, lines), 1)
	require.True(t, isAt(held.file.Name(), held.file))
	held.Release()
	require.NoError(t, lines.sweep())
	require.Empty(t, files(t, lines))
}

// E3: whoever has a lifeline has it where the host looks for it, whatever the host does at the same time.
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
					t.Error("a lifeline is held that is not in its place")
				case lines.Cut(key):
					t.Error("a lifeline is cut that is held")
				}
				_ = line.file.Close() // it is left over, for the sweep to remove while the next one is made
			}
		})
	}
	working.Wait()
	done.Store(true)
	hosts.Wait()
}

// A look does not take another one for somebody who lives.
func TestLifeline_CutForAll(t *testing.T) {
	l, lines := client(t)
	die(t, lifeline(t, l, "key"))
	inParallel(make([]int, 8), func(int, int) {
		for range 200 {
			if !lines.Cut("key") {
				t.Error("nobody has the lifeline")

				return
			}
		}
	})
}

// A file system without locks is said to be one.
func TestLockError(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		syscall.ENOLCK, syscall.ENOSYS, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.EINVAL,
		&os.SyscallError{Syscall: "flock", Err: syscall.ENOLCK},
	} {
		got := lockError("/dir", err)
		require.ErrorIs(t, got, err)
		require.EqualError(t, got, fmt.Sprintf(`state directory "/dir": its file system does not support file locks (%v): `+
			"choose a directory on a local disk with --dir or TENURE_DIR", err))
	}
	require.EqualError(t, lockError("/dir", syscall.EIO),
		`state directory "/dir": input/output error: choose another with --dir or TENURE_DIR`)
}

// What the lock says of a descriptor that can have none is an error, and not that somebody has it.
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
