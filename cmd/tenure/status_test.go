package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	embed "tenure"
	"tenure/internal/cli"
	"tenure/internal/embedded"
)

// embeddedClient opens a client that hosts the server of a new directory, unless somebody does.
func embeddedClient(t *testing.T, dir string) *embed.Client {
	t.Helper()
	c, err := embed.Open(t.Context(), "", embed.WithDir(dir))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close(t.Context())) })

	return c
}

func stateDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))

	return dir
}

func statusOf(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := tenureRun(t, nil, append([]string{"status"}, args...)...)
	require.Equal(t, cli.ExitOK, code, stderr)
	require.Empty(t, stderr)

	return stdout
}

func TestStatus(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	c := embeddedClient(t, dir)
	require.NoError(t, c.CreateNode(t.Context(), "/local/a/tasks", coordination.NodeConfig{}))
	require.NoError(t, c.CreateNode(t.Context(), "/local/a/empty", coordination.NodeConfig{}))
	session := func(description string) coordination.Session {
		s, err := c.Session(t.Context(), "/local/a/tasks", options.WithDescription(description))
		require.NoError(t, err)

		return s
	}
	first, second := session("first"), session("second")
	_, err := first.AcquireSemaphore(t.Context(), "deploy", coordination.Exclusive,
		options.WithEphemeral(true), options.WithAcquireData([]byte("alice\x1b[2J")))
	require.NoError(t, err)
	require.NoError(t, first.CreateSemaphore(t.Context(), "slots", 5, options.WithCreateData([]byte("five"))))
	_, err = second.AcquireSemaphore(t.Context(), "slots", 3)
	require.NoError(t, err)
	waits := make(chan error, 1)
	go func() {
		_, err := second.AcquireSemaphore(t.Context(), "deploy", coordination.Exclusive, options.WithEphemeral(true))
		waits <- err
	}()
	require.Eventually(t, func() bool {
		d, err := first.DescribeSemaphore(t.Context(), "deploy", options.WithDescribeWaiters(true))

		return err == nil && len(d.Waiters) == 1
	}, 10*time.Second, time.Millisecond)

	host, err := os.Hostname()
	require.NoError(t, err)
	require.Regexp(t, fmt.Sprintf(`^%s is hosted by process %d on %s for \d+s: .* \(tenure devel.*\)

node /local/a/empty, sessions: 0

node /local/a/tasks, sessions: 2
  "deploy"
    held by "alice\\x1b\[2J", session 1, token 1
    1. waits second, session 2, token 3
  "slots", 3 of 5 taken, data "five"
    held by second, session 2, token 2, 3 of it
$`, regexp.QuoteMeta(dir), os.Getpid(), regexp.QuoteMeta(host)), statusOf(t, "--dir", dir))

	var report embedded.Report
	require.NoError(t, json.Unmarshal([]byte(statusOf(t, "--dir", dir, "-o", "json")), &report))
	require.Equal(t, os.Getpid(), report.Host.PID)
	require.WithinDuration(t, time.Now(), report.Host.Since, time.Minute)
	require.Equal(t, uint64(3), report.Nodes[1].Semaphores[0].Waiters[0].Token)

	require.NoError(t, c.Close(t.Context()))
	require.Error(t, <-waits)
	require.Equal(t, dir+" is not in use\n\nnode /local/a/empty, sessions: 0\n\nnode /local/a/tasks, sessions: 0\n"+
		"  \"slots\", 0 of 5 taken, data \"five\", free\n", statusOf(t, "--dir", dir))
	require.Empty(t, entries(t, dir, "socket"), "status has hosted it for a moment")
}

func entries(t *testing.T, dir, name string) (found []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range all {
		if e.Name() == name {
			found = append(found, e.Name())
		}
	}

	return found
}

// Nothing is made of a directory that is not there.
func TestStatus_OfNothing(t *testing.T) {
	t.Parallel()
	dir := stateDir(t) + "/none"
	require.Equal(t, dir+" is not in use\n", statusOf(t, "--dir", dir))
	require.JSONEq(t, fmt.Sprintf(`{"directory": %q, "host": null, "nodes": []}`, dir),
		statusOf(t, "--dir", dir, "-o", "json"))
	require.NoDirExists(t, dir)
}

func TestStatus_WhatIsWrongIsSaidInOneLine(t *testing.T) {
	t.Parallel()
	open := t.TempDir()
	require.NoError(t, os.Chmod(open, 0o755))
	for line, want := range map[string]string{
		"-o=xml":        `-o="xml" is not known: write text or json`,
		"--dir=" + open: fmt.Sprintf("state directory %q .*chmod 700 %s", open, open),
	} {
		code, stdout, stderr := tenureRun(t, nil, "status", line)
		require.Equal(t, cli.ExitFailure, code)
		require.Empty(t, stdout)
		require.Regexp(t, "^tenure: "+want+"\n$", stderr)
	}
}

// A server of its own and the embedded one exclude each other from a directory, and say so.
func TestStatus_ServeHasTheDirectory(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	embeddedClient(t, dir)
	code, _, stderr := tenureRun(t, nil, "serve", "--listen", "127.0.0.1:0", "--data", dir)
	require.Equal(t, cli.ExitFailure, code)
	require.Regexp(t, fmt.Sprintf(`^tenure: open store %q: store is in use by process %d on .*: stop that process, or `+
		`choose another directory\n$`, dir, os.Getpid()), stderr)

	other := stateDir(t)
	cmd, _, _ := process(t, "serve", "--listen", "127.0.0.1:0", "--data", other)
	code, _, stderr = tenureRun(t, nil, "status", "--dir", other)
	require.Equal(t, cli.ExitFailure, code)
	require.Regexp(t, fmt.Sprintf(`^tenure: no answer within 5s: waiting for process %d on .*, which has the store in %q `+
		`open but does not serve it there: if it is "tenure serve", pass its address with --ydb or TENURE_DSN; `+
		`otherwise end it\n$`, cmd.Process.Pid, other), stderr)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
}
