package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tenure/internal/cli"
)

// asTenure is the variable that makes this binary run as tenure instead of the tests.
const asTenure = "RUN_AS_TENURE"

func TestMain(m *testing.M) {
	if os.Getenv(asTenure) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for golden, line := range map[string][]string{
		"help.txt":   {"--help"},
		"serve.txt":  {"serve", "--help"},
		"status.txt": {"status", "--help"},

		"token.txt":      {"token", "--help"},
		"token-new.txt":  {"token", "new", "--help"},
		"token-hash.txt": {"token", "hash", "--help"},
	} {
		want, err := os.ReadFile(filepath.Join("testdata", golden))
		require.NoError(t, err)
		code, stdout, stderr := tenureRun(t, map[string]string{"HOME": "/home/me"}, line...)
		require.Equal(t, cli.ExitOK, code)
		require.Empty(t, stderr)
		require.Equal(t, string(want), stdout)
	}
}
