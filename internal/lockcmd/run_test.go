package lockcmd

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli/clitest"
	"tenure/tenuretest"
)

// holding is a COMMAND that prints its token and runs until it is stopped.
var holding = []string{"--", "sh", "-c", "echo holding $TENURE_TOKEN; exec sleep 1000"}

// A wait that takes longer than a moment is reported once, with the holder and the place in the queue.
func TestRun_Waiting(t *testing.T) {
	t.Parallel()
	dsn := tenuretest.NewServer(t).DSN()
	first := clitest.Start(t, Command, append([]string{"-ydb", dsn, "--data", "first", "deploy"}, holding...)...)
	require.Equal(t, []string{"holding 1"}, first.Until(t, "holding 1"))
	second := clitest.Start(t, Command, append([]string{"-ydb", dsn, "deploy"}, holding...)...)
	require.Contains(t, []string{
		`lock: waiting for "deploy": held by first, you are next`,
		`lock: waiting for "deploy" on ` + dsn, // a busy server has not told who holds it
	}, second.Next(t))

	first.Interrupt()
	lines, code := first.Wait(t)
	require.Empty(t, lines)
	require.Equal(t, 143, code)
	require.Equal(t, []string{"holding 2"}, second.Until(t, "holding 2"))
	second.Interrupt()
	lines, code = second.Wait(t)
	require.Empty(t, lines)
	require.Equal(t, 143, code)
}

// lock stops COMMAND when the lock is lost, and does not wait for the lock again, because COMMAND has already run.
func TestRun_Lost(t *testing.T) {
	t.Parallel()
	srv := tenuretest.NewServer(t)
	mark := filepath.Join(t.TempDir(), "stopped")
	p := clitest.Start(t, Command,
		"--ydb", srv.DSN(), "--timeout", "8s", "--grace", "2s", "--signal", "USR1", "deploy", "--",
		"sh", "-c", `trap "echo >>`+mark+`; exit 0" USR1; echo holding; while :; do sleep 0.1 & wait; done`)
	p.Until(t, "holding")
	srv.Kill()
	lines, code := p.Wait(t)
	require.Equal(t, 123, code)
	require.Equal(t, []string{
		"lock: the server does not answer, and the lease may be granted to someone else in 2s: " +
			"stopping COMMAND",
	}, lines)
	require.FileExists(t, mark)
}
