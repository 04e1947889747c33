package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Shells complete the names of semaphores, from a server that can list them.
func TestCompletion_Names(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"_TENURE_COMPLETE": "1", "HOME": "/home/me"}
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			lock(t, p.session(t, "holder"), "deploy", "alice")
			for _, command := range []string{"who", "watch", "check", "release", "semaphore delete", "lock"} {
				line := append([]string{"__complete"}, strings.Fields(command)...)
				flags := p.flags
				if command == "lock" {
					flags = flags[:2] // it has no --admin
				}
				_, stdout, _ := tenureRun(t, vars, append(append(line, flags...), "d")...)
				want := p.name != "server" && (command != "lock" || p.name == "embedded")
				require.Equal(t, want, strings.HasPrefix(stdout, "deploy\n"), "%s: %s", command, stdout)
			}
		})
	}
}

// Completion is silent and starts nothing if there is no server.
func TestCompletion_NoServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	for _, flag := range []string{"--dir " + dir, "--ydb grpc://127.0.0.1:1/local", "--ydb x"} {
		_, stdout, _ := tenureRun(t, map[string]string{"_TENURE_COMPLETE": "1", "HOME": "/home/me"},
			append(append([]string{"__complete", "who"}, strings.Fields(flag)...), "")...)
		require.Equal(t, ":4\n", stdout)
	}
	require.NoDirExists(t, dir)
}
