//go:build unix

package lockcmd

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/programs/programstest"
)

// A holder that has just been started misses a signal. It is asked again.
func TestRegistered_EndAsksAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "holder")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	holder := exec.CommandContext(t.Context(), "sh", "-c",
		`trap 'test $missed && exit; missed=yes' USR1; echo ready; while :; do sleep 0.01; done`)
	out, err := holder.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	ended := make(chan error, 1)
	go func() {
		err := programstest.Wait(t, holder)
		_ = f.Close() // as the system does at the end of a holder
		ended <- err
	}()

	require.NoError(t, registered{path, holder.Process.Pid}.end(t.Context()))
	require.NoError(t, <-ended)
	require.NoFileExists(t, path)
}
