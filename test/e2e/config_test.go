package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each command knows the flags of all commands as keys of the configuration file.
func TestConfig_KeysOfAllCommands(t *testing.T) {
	t.Parallel()
	require.NoError(t, build())
	config, home := filepath.Join(t.TempDir(), "config.toml"), t.TempDir()
	run := func(command ...string) (stdout, stderr string) {
		var out, errs bytes.Buffer
		cmd := exec.Command(filepath.Join(scratch, command[0]), append(command[1:], "--print-config")...)
		cmd.Env = append(environment(home), "TENURE_CONFIG="+config)
		cmd.Stdout, cmd.Stderr = &out, &errs
		_ = cmd.Run()

		return out.String(), errs.String()
	}
	put := func(text string) { require.NoError(t, os.WriteFile(config, []byte(text), 0o600)) }
	put("")
	keys := map[string]bool{}
	for _, command := range [][]string{{"lock"}, {"workers"}, {"tenure", "serve"}, {"tenure", "status"}} {
		stdout, stderr := run(command...)
		require.Empty(t, stderr)
		for line := range strings.Lines(stdout) {
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "--"), " ")
			keys[name] = true
		}
	}
	require.Contains(t, keys, "listen")
	for key := range keys {
		put(key + " = false\n") // the wrong type for most of them
		for _, command := range []string{"lock", "workers"} {
			_, stderr := run(command)
			require.NotContains(t, stderr, "unknown key", "it is missing in the list of keys")
		}
	}
}
