package e2e

import (
	"bytes"
	"fmt"
	"maps"
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
	keys := map[string]map[string]bool{} // by command
	for _, command := range []string{"lock", "workers", "serve", "status"} {
		args := []string{command}
		if command == "serve" || command == "status" {
			args = []string{"tenure", command}
		}
		stdout, stderr := run(args...)
		require.Empty(t, stderr)
		keys[command] = map[string]bool{}
		for line := range strings.Lines(stdout) {
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "--"), " ")
			keys[command][name] = true
		}
	}
	require.Contains(t, keys["serve"], "listen")
	for _, command := range []string{"lock", "workers"} {
		var others strings.Builder
		done := maps.Clone(keys[command])
		for _, of := range keys {
			for key := range of {
				if !done[key] {
					fmt.Fprintln(&others, key, "= false")
				}
				done[key] = true
			}
		}
		put(others.String())
		_, stderr := run(command)
		require.Empty(t, stderr, "a key of another command is missing in the list of keys")
	}
}
