package command_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/command"
)

// A suspended COMMAND receives the signal that asks it to stop.
func TestRun_StopSuspended(t *testing.T) {
	t.Parallel()
	p := newPlay(t, as("suspended"))
	suspended := make(chan command.Event, 10)
	p.Observe = func(e command.Event) { suspended <- e }
	p.begin()
	p.number()
	p.awaitStop(suspended)
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
	require.Equal(t, "holder: killed COMMAND: the process that held the lock for it has ended\n", string(rest))
}
