package command_test

import (
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A suspended COMMAND receives the signal that asks it to stop.
func TestRun_StopSuspended(t *testing.T) {
	t.Parallel()
	p := newPlay(t, as("suspended")).begin()
	require.NoError(t, unix.Waitid(unix.P_PID, p.number(), nil, unix.WSTOPPED|unix.WNOWAIT, nil))
	p.stop(nil)
	require.Equal(t, "SIGTERM", p.line())
	require.Equal(t, 3, p.end())
}

// COMMAND is killed when its holder is killed.
func TestRun_DiesWithHolder(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "--", "sh", "-c", as("stubborn"))
	p.says("ready")
	p.number()
	require.NoError(t, p.cmd.Process.Kill())
	rest, err := io.ReadAll(p.lines) // ends when no process has the other end open
	require.NoError(t, err)
	require.Empty(t, rest)
}

// The system kills COMMAND when the thread that started it ends, so Run keeps this thread until it returns. A test
// cannot make a thread end, so this one checks that the goroutine is locked to its thread.
func TestRun_KeepsThread(t *testing.T) {
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
