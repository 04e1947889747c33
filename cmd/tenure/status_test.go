package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	embed "tenure"
	"tenure/internal/cli"
	"tenure/internal/embedded"
	"tenure/internal/programs/programstest"
	"tenure/tenuretest"
)

// embeddedClient opens a client of the directory, and so hosts its server unless another client does.
func embeddedClient(t *testing.T, dir string) *embed.Client {
	t.Helper()
	c, err := embed.Open(t.Context(), embed.Embedded, embed.WithDir(dir))
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
	}, soon, time.Millisecond)

	host, err := os.Hostname()
	require.NoError(t, err)
	require.Regexp(t, fmt.Sprintf(`^state directory %s \(from --dir\)
hosted by process %d on %s for \d+s: .* \(tenure devel.*\)

node /local/a/empty, sessions: 0

node /local/a/tasks, sessions: 2
  "deploy" is held, 1 waiting
    PLACE   WHO        FOR  TOKEN  SESSION
    holder  alice\?\[2J  \d+s +1      1
    1       second     \d+s +3      2
  "slots" is held, 3 of 5 taken, data "five"
    PLACE   WHO     FOR  TOKEN  SESSION  COUNT
    holder  second  \d+s +2      2        3
$`, regexp.QuoteMeta(dir), os.Getpid(), regexp.QuoteMeta(host)), statusOf(t, "--dir", dir))

	var report embedded.Report
	require.NoError(t, json.Unmarshal([]byte(statusOf(t, "--dir", dir, "-o", "json")), &report))
	require.Equal(t, os.Getpid(), report.Host.PID)
	require.WithinDuration(t, time.Now(), report.Host.Since, soon)
	require.Equal(t, uint64(3), report.Nodes[1].Semaphores[0].Waiters[0].Token)

	require.NoError(t, c.Close(t.Context()))
	require.Error(t, <-waits)
	require.Equal(t, "state directory "+dir+" (from --dir)\nno process uses it\n\n"+
		"node /local/a/empty, sessions: 0\n\nnode /local/a/tasks, sessions: 0\n"+
		"  \"slots\" is free, 0 of 5 taken, data \"five\"\n", statusOf(t, "--dir", dir))
	require.Empty(t, entries(t, dir, "socket"), "status has hosted the server for a moment")
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

// A missing directory is reported as unused, and is not created.
func TestStatus_OfNothing(t *testing.T) {
	t.Parallel()
	dir := stateDir(t) + "/none"
	require.Equal(t, "state directory "+dir+" (from --dir)\nno process uses it\n", statusOf(t, "--dir", dir))
	require.JSONEq(t, fmt.Sprintf(`{"directory": %q, "host": null, "nodes": []}`, dir),
		statusOf(t, "--dir", dir, "-o", "json"))
	require.NoDirExists(t, dir)
}

func TestStatus_ErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	open := t.TempDir()
	require.NoError(t, os.Chmod(open, 0o755))
	for line, want := range map[string]string{
		"-o=xml":        `--output="xml" is not a format: write text or json`,
		"--dir=" + open: fmt.Sprintf("state directory %q .*chmod 700 %s", open, open),
	} {
		code, stdout, stderr := tenureRun(t, nil, "status", line)
		require.Equal(t, cli.ExitFailure, code)
		require.Empty(t, stdout)
		require.Regexp(t, "^tenure: "+want+"\n$", stderr)
	}
}

// The first line shows the state directory and what chose it.
func TestStatus_StateDirectory(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	type vars = map[string]string
	for name, test := range map[string]struct {
		vars vars
		line string
		want string
	}{
		"HOME": {vars{"HOME": home}, "", home + "/.local/state/tenure (from HOME)"},
		"XDG": {
			vars{"HOME": home, "XDG_STATE_HOME": home + "/x"},
			"",
			home + "/x/tenure (from XDG_STATE_HOME)",
		},
		"variable": {vars{"HOME": home, "TENURE_DIR": home + "/d"}, "", home + "/d (from TENURE_DIR)"},
		"systemd":  {vars{"STATE_DIRECTORY": home + "/s"}, "", home + "/s/tenure (from STATE_DIRECTORY)"},
		"embedded": {vars{"HOME": home, "TENURE_DSN": "embedded"}, "", home + "/.local/state/tenure (from HOME)"},
		"embedded, by hand": {
			vars{"HOME": home, "TENURE_DSN": "grpc://a:1/b"},
			"--ydb embedded",
			home + "/.local/state/tenure (from HOME)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := tenureRun(t, test.vars, append([]string{"status"}, strings.Fields(test.line)...)...)
			require.Empty(t, stderr)
			require.Equal(t, "state directory "+test.want+"\nno process uses it\n", stdout)
			require.Equal(t, cli.ExitOK, code)
		})
	}
}

// Of a server, status shows what the protocol tells.
func TestStatus_OfAServer(t *testing.T) {
	t.Parallel()
	s := tenuretest.NewServer(t)
	c := s.Client(t)
	for _, path := range []string{"/local/b", "/local/dir/a"} {
		require.NoError(t, c.CreateNode(t.Context(), path, coordination.NodeConfig{}))
	}
	require.Equal(t, "server "+s.DSN()+" answers\nnode /local/b\nnode /local/dir/a\n", statusOf(t, "--ydb", s.DSN()))
	var status serverStatus
	require.NoError(t, json.Unmarshal([]byte(statusOf(t, "--ydb", s.DSN(), "-o", "json")), &status))
	require.Equal(t, []nodePath{{"/local/b"}, {"/local/dir/a"}}, status.Nodes)
	require.Equal(t, s.DSN(), status.Server)

	p := withAdmin(t)
	lock(t, p.session(t, "holder"), "deploy", "alice")
	require.Regexp(t, `^server grpc://\S+

node /local/tenure, sessions: 1
  "deploy" is held
    PLACE   WHO    FOR  TOKEN  SESSION
    holder  alice  \ds   1      1
$`, statusOf(t, p.flags...))

	code, _, stderr := tenureRun(t, map[string]string{"TENURE_DSN": ""}, "status")
	require.Equal(t, "tenure: TENURE_DSN is empty: write TENURE_DSN=grpc://localhost:2136/local, or unset the variable\n",
		stderr)
	require.Equal(t, cli.ExitFailure, code)
}

// "tenure serve" and the embedded server exclude each other from a directory.
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
		`open but does not serve it there: if it is "tenure serve", connect to its address with --ydb or TENURE_DSN; `+
		`otherwise end it\n$`, cmd.Process.Pid, other), stderr)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, programstest.Wait(t, cmd))
}
