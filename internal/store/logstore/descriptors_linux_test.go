package logstore

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/store/storetest"
)

// A process that has no free descriptors can commit, even beyond the spare segment. The test runs in a process of its
// own, because it uses all descriptors.
func TestCommit_WithoutDescriptors(t *testing.T) {
	t.Parallel()
	const inside = "TENURE_TEST_WITHOUT_DESCRIPTORS"
	if os.Getenv(inside) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)

		return
	}
	const size = 16 << 10
	dir := t.TempDir()
	s, err := Open(dir, Options{LogSize: size})
	require.NoError(t, err)
	idle(t, s)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 100, Max: 100}))
	var used []int
	for {
		fd, err := syscall.Dup(0)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		require.NoError(t, err)
		used = append(used, fd)
	}
	const commits = 5 * size / 200
	for i := range commits {
		require.NoError(t, s.Commit(t.Context(), numbered(i)))
	}
	got := storetest.Records(t, s, 1)
	require.Len(t, got, commits)
	s.mu.Lock()
	newest := s.segments[len(s.segments)-1]
	require.Greater(t, newest.end, int64(size), "the newest segment has grown")
	s.mu.Unlock()

	for _, fd := range used {
		require.NoError(t, syscall.Close(fd))
	}
	idle(t, s)
	require.NoError(t, s.Close())
	s, err = Open(dir, Options{})
	require.NoError(t, err)
	require.Equal(t, got, storetest.Records(t, s, 1))
	require.NoError(t, s.Close())
}
