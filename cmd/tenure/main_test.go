package main

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tenure/internal/cli"
)

// asTenure is the variable that makes this binary run as tenure instead of the tests.
const asTenure = "RUN_AS_TENURE"

// soon is a limit for what happens immediately, on a machine that also runs other tests.
const soon = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asTenure) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, command := range []string{
		"", "serve", "status", "who", "watch", "ls", "check", "release", "doctor",
		"semaphore", "semaphore create", "semaphore set", "semaphore delete",
		"node", "node create", "node alter", "node describe", "node drop",
		"session", "session ls", "session end", "backup", "restore",
		"token", "token new", "token hash",
	} {
		line := append(strings.Fields(command), "--help")
		golden := cmp.Or(strings.ReplaceAll(command, " ", "-"), "help") + ".txt"
		want, err := os.ReadFile(filepath.Join("testdata", golden))
		require.NoError(t, err)
		code, stdout, stderr := tenureRun(t, map[string]string{"HOME": "/home/me"}, line...)
		require.Equal(t, cli.ExitOK, code)
		require.Empty(t, stderr)
		require.Equal(t, string(want), stdout)
	}
}
