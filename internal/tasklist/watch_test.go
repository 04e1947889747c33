package tasklist_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/tasklist"
)

// A following is a call of Watch in a bubble of synctest. Files are real in it, and only the time is not.
type following struct {
	reload chan struct{}

	mu    sync.Mutex // guards the rest
	lists []string
	lines []string
}

// follow loads the list and watches it until the test ends.
func follow(t *testing.T, list func(...tasklist.Option) *tasklist.Watched) *following {
	t.Helper()
	f := &following{reload: make(chan struct{}, 1)}
	w := list(tasklist.WithReload(f.reload), tasklist.WithReport(func(line string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.lines = append(f.lines, line)
	}))
	_, err := w.Load(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.Watch(ctx, func(specs []tasklist.Spec) error {
			names := make([]string, len(specs))
			for i, s := range specs {
				names[i] = s.Name
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if slices.Contains(names, "refused") {
				return errors.New("a name is refused")
			}
			f.lists = append(f.lists, strings.Join(names, " "))

			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})

	return f
}

// after lets time pass, and returns the lists and lines that are new.
func (f *following) after(d time.Duration) (lists, lines []string) {
	time.Sleep(d) // of the bubble
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	lists, lines = f.lists, f.lines
	f.lists, f.lines = nil, nil

	return lists, lines
}

func (f *following) hangUp() (lists, lines []string) {
	f.reload <- struct{}{}

	return f.after(0)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// A change of the file counts when the file has stayed the same between two looks. What cannot be used leaves the list
// as it is, and is reported once.
func TestFile_Watch(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	at := func(lines ...string) []string {
		for i := range lines {
			lines[i] = path + lines[i]
		}

		return lines
	}
	write(t, path, "a\nb\n")
	bubbletest.Test(t, func(t *testing.T) {
		f := follow(t, func(opts ...tasklist.Option) *tasklist.Watched { return tasklist.File(path, opts...) })
		lists, lines := f.after(10 * time.Second)
		require.Equal(t, []string{"a b"}, lists)
		require.Empty(t, lines)

		write(t, path, "a 2\nc\n")
		lists, _ = f.after(time.Second) // it may still be being written
		require.Empty(t, lists)
		lists, lines = f.after(time.Second)
		require.Equal(t, []string{"a c"}, lists)
		require.Equal(t, at(": 2 tasks: 1 added, 1 removed, 1 with another weight"), lines)

		for text, complaint := range map[string]string{
			"":          ": it lists no task: keeping the previous list of 2 tasks",
			"refused\n": ": a name is refused: keeping the previous list of 2 tasks",
			"a\nc\na\n": `:3: "a" is listed twice, first in line 1: keeping the previous list of 2 tasks`,
		} {
			write(t, path, text)
			lists, lines = f.after(time.Minute)
			require.Empty(t, lists)
			require.Equal(t, at(complaint), lines)
		}
		require.NoError(t, os.Remove(path))
		lists, lines = f.after(time.Minute)
		require.Empty(t, lists)
		require.Equal(t, at(": no such file or directory: keeping the previous list of 2 tasks"), lines)

		write(t, path+".new", "a 2\nc\n") // as editors replace a file
		require.NoError(t, os.Rename(path+".new", path))
		lists, lines = f.after(time.Minute)
		require.Empty(t, lists)
		require.Equal(t, at(": no change: 2 tasks"), lines)
	})
}

// A reload does not wait for the next look, and has an answer even if nothing has changed.
func TestFile_Reload(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	write(t, path, "a\n")
	bubbletest.Test(t, func(t *testing.T) {
		f := follow(t, func(opts ...tasklist.Option) *tasklist.Watched { return tasklist.File(path, opts...) })
		f.after(0)
		_, lines := f.hangUp()
		require.Equal(t, []string{path + ": no change: 1 task"}, lines)
		write(t, path, "a\nb\n")
		lists, lines := f.hangUp()
		require.Equal(t, []string{"a b"}, lists)
		require.Equal(t, []string{path + ": 2 tasks: 1 added, 0 removed"}, lines)
		write(t, path, "a b\n")
		for range 2 {
			_, lines = f.hangUp()
			require.Len(t, lines, 1)
			require.Contains(t, lines[0], path+`:1: the weight "b" is not`)
		}
	})
}

func TestFile_Load(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := tasklist.File(filepath.Join(dir, "list")).Load(t.Context())
	require.EqualError(t, err, filepath.Join(dir, "list")+": no such file or directory")
	_, err = tasklist.File(dir).Load(t.Context())
	require.ErrorContains(t, err, dir+": it is not a regular file: ")
	write(t, filepath.Join(dir, "list"), "# none\n")
	_, err = tasklist.File(filepath.Join(dir, "list")).Load(t.Context())
	require.EqualError(t, err, filepath.Join(dir, "list")+": it lists no task")
}
