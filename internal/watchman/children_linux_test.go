package watchman

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/programs/programstest"
)

// Children lists the children that any thread of a process has started, until they have been collected.
func TestChildren(t *testing.T) { //nolint:paralleltest // no other test of the process may have children
	require.Empty(t, Children(os.Getpid()))
	child := exec.Command("cat")
	end, err := child.StdinPipe()
	require.NoError(t, err)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends, and another one becomes the parent
		started <- child.Start()
	}()
	require.NoError(t, <-started)
	require.Equal(t, []int{child.Process.Pid}, Children(os.Getpid()))
	require.Empty(t, Children(child.Process.Pid))

	require.NoError(t, end.Close())
	for AnyEnded() != child.Process.Pid { // then it is a zombie
		runtime.Gosched()
	}
	require.Equal(t, []int{child.Process.Pid}, Children(os.Getpid()))
	require.NoError(t, programstest.Wait(t, child))
	require.Empty(t, Children(os.Getpid()))
}
