package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
)

// status --check says in one line whether a server is ready.
func TestStatus_Check(t *testing.T) {
	t.Parallel()
	for _, p := range places(t) {
		code, output := p.run(t, "status", "--check")
		require.Regexp(t, "^ready: .+\n$", output)
		require.Equal(t, cli.ExitOK, code)
	}
	stopping := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			http.Error(w, "the server is stopping", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(stopping.Close)
	for flag, want := range map[string]string{
		"--admin " + stopping.URL: "tenure: not ready: ask " + stopping.URL + ": 503 Service Unavailable: the server is " +
			"stopping\n",
		"--ydb grpc://127.0.0.1:1/local": "tenure: not ready: no server at 127.0.0.1:1 (connection refused): start one " +
			"with \"tenure serve\", or check --ydb\n",
	} {
		code, stdout, stderr := tenureRun(t, nil, append([]string{"status", "--check"}, strings.Fields(flag)...)...)
		require.Empty(t, stdout)
		require.Equal(t, want, stderr)
		require.Equal(t, exitNotReady, code)
	}
}

// status --live says in one line whether a server is alive, which it may be without being ready.
func TestStatus_Live(t *testing.T) {
	t.Parallel()
	healthy := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" && healthy == http.StatusOK {
			return
		}
		http.Error(w, "node /local/x has made no progress", http.StatusServiceUnavailable)
	}))
	t.Cleanup(srv.Close)
	code, stdout, stderr := tenureRun(t, nil, "status", "--live", "--admin", srv.URL)
	require.Equal(t, cli.ExitOK, code, stderr)
	require.Equal(t, "alive: "+srv.URL+"\n", stdout)

	healthy = http.StatusServiceUnavailable
	code, stdout, stderr = tenureRun(t, nil, "status", "--live", "--admin", srv.URL)
	require.Equal(t, exitNotReady, code)
	require.Empty(t, stdout)
	require.Equal(t, "tenure: not alive: ask "+srv.URL+": 503 Service Unavailable: node /local/x has made no progress\n",
		stderr)

	for flags, want := range map[string]string{
		"--live --check --admin " + srv.URL: "tenure: --check and --live ask different questions: leave one of them out\n",
		"--live":                            "tenure: --live needs the admin address of the server",
	} {
		code, _, stderr = tenureRun(t, nil, append([]string{"status"}, strings.Fields(flags)...)...)
		require.Equal(t, cli.ExitFailure, code)
		require.Contains(t, stderr, want)
		require.Equal(t, 1, strings.Count(stderr, "\n"))
	}
}

// A server that drains is not ready, although it answers.
func TestStatus_CheckDraining(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	cmd, _, _ := process(t, "serve", "--listen", "127.0.0.1:0", "--memory", "--socket", path, "--drain", "1h")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Eventually(t, func() bool {
		code, _, stderr := tenureRun(t, nil, "status", "--check", "--ydb", "unix://"+path)

		return code == exitNotReady && stderr == "tenure: not ready: the server says that it is stopping, or that its disk "+
			"does not work: look at its log\n"
	}, soon, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
}
