package command_test

import (
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A suspended COMMAND gets the signal that stops it.
func TestRun_StopOfSuspended(t *testing.T) {
	t.Parallel()
	p := newPlay(t, as("suspended")).begin()
	require.NoError(t, unix.Waitid(unix.P_PID, p.number(), nil, unix.WSTOPPED|unix.WNOWAIT, nil))
	p.stop(nil)
	require.Equal(t, "SIGTERM", p.line())
	require.Equal(t, 3, p.end())
}

// COMMAND is killed together with the holder.
func TestRun_DiesWithItsHolder(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "--", "sh", "-c", as("stubborn"))
	p.says("ready")
	p.number()
	require.NoError(t, p.cmd.Process.Kill())
	rest, err := io.ReadAll(p.lines) // until no process has the other end
	require.NoError(t, err)
	require.Empty(t, rest)
}

// COMMAND would be killed with the thread that started it, so Run keeps that thread until it returns. A test cannot
// arrange the end of a thread, so it checks whether the goroutine is locked to its thread.
func TestRun_KeepsItsThread(t *testing.T) {
	t.Parallel()
	p := newPlay(t, as("obedient")).begin()
	p.number()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	runs := 0
	for goroutine := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(goroutine, "command.(*Command).Run(") {
			runs++
			require.Contains(t, goroutine, "locked to thread")
		}
	}
	require.NotZero(t, runs)
	p.stop(nil)
	require.Equal(t, "SIGTERM", p.line())
	require.Equal(t, 3, p.end())
}
