package pebblestore

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tenure/internal/node"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
)

const childDir = "TENURE_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Println(child(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// child commits without end and says what was acknowledged.
func child(dir string) error {
	s, err := Open(dir, Options{})
	for i := 0; err == nil; i++ {
		err = s.Commit(context.Background(), store.Batch{
			Space: 1, Changes: []node.Record{storetest.Put(fmt.Sprintf("%06d", i), "v")},
		})
		if err == nil {
			_, err = fmt.Println(i)
		}
	}

	return err
}

// TestStore_KilledProcess kills a process while it commits, again and again. Meanwhile nobody else gets the store.
func TestStore_KilledProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "missing", "store")
	for round := range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "for", fmt.Sprint("round", round))
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		acked := -1
		for lines.Scan() {
			var i int
			_, err := fmt.Sscanf(lines.Text(), "%d", &i)
			require.NoError(t, err, lines.Text())
			if acked = i; acked != 50 {
				continue
			}
			_, err = Open(dir, Options{})
			require.ErrorIs(t, err, store.ErrLocked)
			require.ErrorContains(t, err, fmt.Sprintf("by process %d on ", cmd.Process.Pid))
			require.ErrorContains(t, err, fmt.Sprintf("%s for round%d, since 20", os.Args[0], round))
			require.NoError(t, cmd.Process.Kill())
		}
		require.Error(t, cmd.Wait())
		require.GreaterOrEqual(t, acked, 50)

		s, err := Open(dir, Options{})
		require.NoError(t, err)
		got := storetest.Records(t, s, 1)
		require.GreaterOrEqual(t, len(got), acked+1)
		for i := range got {
			require.Equal(t, fmt.Sprintf("\"%06d\"=\"v\"", i), got[i])
		}
		require.NoError(t, s.Commit(t.Context(), store.Batch{Space: 2, Drop: []store.Space{1}}))
		require.NoError(t, s.Close())
	}
	require.NoFileExists(t, filepath.Join(dir, ownerName))
}

func TestOpen_Directory(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "store")
	s, err := Open(dir, Options{})
	require.NoError(t, err)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	// Another way to the same directory does not get around the lock.
	link := filepath.Join(parent, "link")
	require.NoError(t, os.Symlink(dir, link))
	_, err = Open(link, Options{})
	require.ErrorIs(t, err, store.ErrLocked)
	require.ErrorContains(t, err, fmt.Sprintf("by process %d on ", os.Getpid()))
	require.ErrorContains(t, err, ", since 20")
	require.NoError(t, s.Close())

	s, err = Open(link, Options{})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestOpen_NotADirectory(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte("precious"), 0o600))
	_, err := Open(name, Options{})
	require.ErrorContains(t, err, fmt.Sprintf("open store %q: ", name))
	require.NotErrorIs(t, err, store.ErrDamaged)
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
}
