package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/audit"
	"tenure/internal/programs/programstest"
	"tenure/internal/relaytest"
)

// get returns the status and the text of an answer, or 0 if there is none.
func get(url string) (int, string) {
	resp, err := http.Get(url) //nolint:noctx // the process that it asks has a time limit
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)

	return resp.StatusCode, string(text)
}

// A server that is told to stop reports that it is not ready, continues to serve for the time of --drain, and then
// ends.
func TestServe_Drains(t *testing.T) {
	t.Parallel()
	address, dir := relaytest.FreeAddress(t), t.TempDir()
	log := filepath.Join(dir, "audit.log")
	cmd, addr, stderr := process(t, "serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"),
		"--http", address, "--drain", "1h", "--audit", log)
	url := "http://" + address
	status, _ := get(url + "/readyz")
	require.Equal(t, 200, status)
	require.NoError(t, os.Rename(log, log+".old"))
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	require.Eventually(t, func() bool { _, err := os.Stat(log); return err == nil }, soon, time.Millisecond)

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { status, _ := get(url + "/readyz"); return status == 503 }, soon,
		time.Millisecond)
	status, _ = get(url + "/healthz")
	require.Equal(t, 200, status)
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	conn.Close()
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, programstest.Wait(t, cmd), stderr)

	text, err := os.ReadFile(log + ".old")
	require.NoError(t, err)
	var e audit.Event
	require.NoError(t, json.Unmarshal(text, &e), "%s", text)
	require.Equal(t, audit.Start, e.Kind)
}

func TestServe_ChecksWatching(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--http :80":               `--http=":80": other machines can reach this address`,
		"--http nowhere":           `--http="nowhere" is not host:port`,
		"--metrics-semaphores x":   `--metrics-semaphores="x" needs an address for metrics: pass --http`,
		"--audit-only x":           `--audit-only is for an audit log: pass --audit`,
		"--audit-required":         `--audit-required is for an audit log: pass --audit, or leave --audit-required out`,
		"--check --audit /none/a":  `--audit="/none/a": cannot write the audit log: no file can be created in /none`,
		"--check --audit /":        `--audit="/": cannot write the audit log: is a directory`,
		"--audit-max-size 3":       `--audit-max-size is for an audit log: pass --audit`,
		"--audit-max-size 3X":      `--audit-max-size="3X" is not a size: write e.g. 100M`,
		"--audit / --memory":       `--audit="/": cannot write the audit log`,
		"--audit a --audit-only [": `--audit-only="[" is not a pattern`,
		"--drain -1s":              `--drain=-1s is out of range`,
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			all := append([]string{"serve", "--listen", "127.0.0.1:0"}, strings.Fields(args)...)
			code, _, stderr := tenureRun(t, map[string]string{"HOME": t.TempDir()}, all...)
			require.NotZero(t, code)
			require.Contains(t, stderr, want)
		})
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "7": 7, "2k": 2048, "100M": 100 << 20, "1G": 1 << 30} {
		size, err := parseSize(text)
		require.NoError(t, err)
		require.Equal(t, want, size, text)
	}
	for _, bad := range []string{"", "M", "-1", "1T", "1.5M", "99999999999G", fmt.Sprint(uint64(1 << 63))} {
		_, err := parseSize(bad)
		require.Error(t, err, bad)
	}
}
