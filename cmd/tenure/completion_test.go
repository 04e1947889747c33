package main

import (
	"maps"
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
				flags, vars := p.flags, maps.Clone(vars)
				if command == "lock" && len(flags) > 2 { // it has no --admin
					require.Equal(t, "--admin", flags[2])
					vars["TENURE_ADMIN"], flags = flags[3], flags[:2]
				}
				_, stdout, _ := tenureRun(t, vars, append(append(line, flags...), "d")...)
				require.Equal(t, p.name != "server", strings.HasPrefix(stdout, "deploy\n"), "%s: %s", command, stdout)
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
