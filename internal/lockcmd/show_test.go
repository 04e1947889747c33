package lockcmd

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
	"tenure/internal/cli/clitest"
	"tenure/tenuretest"
)

func TestLock_HandsOver(t *testing.T) {
	t.Parallel()
	dsn := tenuretest.NewServer(t).DSN()
	first := clitest.Start(t, Command, "-ydb", dsn, "--path", "/local/test", "--semaphore", "lock")
	require.Equal(t, []string{
		"waiting for a lock...",
		"the lock is acquired",
		"starting work",
		"work is in progress...",
	}, first.Until(t, "work is in progress..."))

	second := clitest.Start(t, Command, "-ydb", dsn, "-path=/local/test", "lock")
	second.Until(t, "waiting for a lock...")
	first.Interrupt()
	lines, code := first.Wait(t)
	require.Equal(t, []string{"suspending work", "the lock is released", "exiting"}, lines)
	require.Equal(t, cli.ExitOK, code)

	require.Equal(t, []string{"the lock is acquired", "starting work"}, second.Until(t, "starting work"))
	third := clitest.Start(t, Command, "-ydb", dsn, "-path=/local/test", "lock")
	third.Until(t, "waiting for a lock...")
	third.Interrupt()
	lines, code = third.Wait(t)
	require.Equal(t, []string{"exiting"}, lines)
	require.Equal(t, cli.ExitOK, code)
}

func TestLock_NodeThatIsMissing(t *testing.T) {
	t.Parallel()
	dsn := tenuretest.NewServer(t).DSN()
	lines, code := clitest.Start(t, Command, "-ydb", dsn, "--no-create", "nightly").Wait(t)
	require.Equal(t, cli.ExitFailure, code)
	require.Equal(t, []string{`lock: node "/local/tenure" does not exist: create it first, ` +
		`or leave out WithoutCreate (--no-create)`}, lines)

	lines, code = clitest.Start(t, Command, "-ydb", dsn, "-path", "/local", "nightly").Wait(t)
	require.Equal(t, cli.ExitFailure, code)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], `lock: create node "/local": SCHEME_ERROR (`)
}
