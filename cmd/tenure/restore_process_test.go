//go:build unix

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	embed "tenure"
	"tenure/internal/access"
	"tenure/internal/cli"
	"tenure/internal/programs/programstest"
)

// A lost is a server as a process, which can be killed and started again.
type lost struct {
	t          *testing.T
	cmd        *exec.Cmd
	dsn, admin string
	addr       string
}

// lostToken is the token of the only user of such a server, who has all rights.
var lostToken, _ = access.NewToken()

func startLost(t *testing.T, listen, data string) *lost {
	t.Helper()
	name := filepath.Join(t.TempDir(), "stderr")
	stderr, err := os.Create(name)
	require.NoError(t, err)
	defer stderr.Close()
	tokens := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(tokens, []byte("user root token="+access.HashToken(lostToken)+"\ngrant root / full\n"),
		0o600))
	cmd := tenureProcess(t, "serve", "--listen", listen, "--http", "127.0.0.1:0", "--data", data, "--tokens", tokens)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	log := func() string {
		text, _ := os.ReadFile(name)

		return string(text)
	}
	require.NoError(t, err, log())
	found := readyLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
	require.NotNil(t, found, line)
	var address string
	require.Eventually(t, func() (whole bool) { // the log does not wait for standard output, nor the other way round
		_, rest, _ := strings.Cut(log(), "address=")
		address, _, whole = strings.Cut(rest, "\n")

		return whole
	}, soon, time.Millisecond)

	return &lost{t: t, cmd: cmd, dsn: "grpc://" + found[1] + "/local", admin: address, addr: found[1]}
}

func tenureProcess(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*soon) // kills a process that does not end
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = []string{
		asTenure + "=1", "YDB_ACCESS_TOKEN_CREDENTIALS=" + lostToken, "GORACE=atexit_sleep_ms=0",
		"TENURE_CONFIG=" + os.DevNull, "PATH=" + os.Getenv("PATH"),
	}

	return cmd
}

func (l *lost) kill() {
	l.t.Helper()
	require.NoError(l.t, l.cmd.Process.Kill())
	_ = l.cmd.Wait()
}

// holder starts a lock whose COMMAND writes its token to a file, and then the time to another file again and again.
func (l *lost) holder(dir, name, timeout string) *exec.Cmd {
	l.t.Helper()
	cmd := tenureProcess(l.t, "lock", "--ydb", l.dsn, "--timeout", timeout, "-q", name, "--", "sh", "-c",
		fmt.Sprintf(`cd %q; echo "$TENURE_TOKEN" > %s.new; mv %[2]s.new %[2]s.token
while :; do date +%%s%%N > %[2]s.now; mv %[2]s.now %[2]s.beat; sleep 0.02; done`, dir, name))
	require.NoError(l.t, cmd.Start())

	return cmd
}

// try returns the exit code of a lock that does not wait.
func (l *lost) try(name string) int {
	l.t.Helper()
	cmd := tenureProcess(l.t, "lock", "--ydb", l.dsn, "-q", "--no-wait", name, "--", "true")
	_ = cmd.Run()

	return cmd.ProcessState.ExitCode()
}

func number(t *testing.T, file string) int64 {
	t.Helper()
	var text []byte
	require.Eventually(t, func() (ok bool) {
		var err error
		text, err = os.ReadFile(file)

		return err == nil
	}, soon, 5*time.Millisecond, file)
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	require.NoError(t, err)

	return n
}

// ok runs a command of tenure that succeeds, and returns its standard output.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	if args[0] != "restore" {
		token := filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(token, []byte(lostToken), 0o600))
		args = append(args, "--auth-token-file", token)
	}
	code, stdout, stderr := tenureRun(t, nil, args...)
	require.Equal(t, cli.ExitOK, code, "%v: %s", args, stderr)

	return stdout
}

// load acquires and releases semaphores of several nodes until ctx ends.
func load(ctx context.Context, t *testing.T, dsn string) {
	t.Helper()
	c, err := embed.Open(ctx, dsn, embed.WithDriverOptions(ydb.WithAccessTokenCredentials(lostToken)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(ctx)) })
	for _, path := range []string{"/local/a", "/local/b"} {
		require.NoError(t, c.CreateNode(ctx, path, coordination.NodeConfig{}))
		s, err := c.Session(ctx, path)
		require.NoError(t, err)
		go func() { // ends with ctx
			for ctx.Err() == nil {
				lease, err := s.AcquireSemaphore(ctx, "load", coordination.Exclusive, options.WithEphemeral(true))
				if err == nil {
					_ = lease.Release()
				}
			}
		}()
	}
}

// TestRestore_AfterLoss loses a server with everything, also what was granted after the backup, and restores it.
func TestRestore_AfterLoss(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, data := filepath.Join(dir, "backup"), filepath.Join(dir, "data")
	s := startLost(t, "127.0.0.1:0", data)
	ok(t, "semaphore", "create", "--ydb", s.dsn, "--limit", "3", "--data", "what it is for", "build")
	before := s.holder(dir, "before", "2s")
	first := number(t, filepath.Join(dir, "before.token"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	load(ctx, t, s.dsn)
	for range 3 {
		ok(t, "backup", "--admin", s.admin, "--force", file)
	}
	after := s.holder(dir, "after", "2s") // the backup does not know it
	second := number(t, filepath.Join(dir, "after.token"))
	require.Greater(t, second, first)
	s.kill()
	cancel()
	require.NoError(t, os.RemoveAll(data))

	require.Contains(t, ok(t, "restore", file, "--to", data, "--wait", "20s"), "grants nothing for 20s")
	r := startLost(t, "127.0.0.1:0", data) // at another address: the holders are cut off
	require.Equal(t, 124, r.try("after"), "the old holder may still be there")
	status := func(flags ...string) string {
		return ok(t, append([]string{"status", "--ydb", r.dsn, "--admin", r.admin}, flags...)...)
	}
	require.Contains(t, status(), "\nrestored from a backup: nothing is granted for ")
	require.Contains(t, status("--check"), ": restored from a backup: nothing is granted until ")
	require.Contains(t, status("--check", "-o", "json"), `"note":"restored from a backup`)
	require.Contains(t, ok(t, "ls", "--ydb", r.dsn, "--admin", r.admin, "-o", "json"), `"what it is for"`)
	require.NotContains(t, ok(t, "session", "ls", "--ydb", r.dsn, "--admin", r.admin), "before")
	for _, name := range []string{"before", "after"} {
		require.NoError(t, os.Remove(filepath.Join(dir, name+".token")))
		now := tenureProcess(t, "lock", "--ydb", r.dsn, "-q", name, "--", "sh", "-c",
			fmt.Sprintf(`date +%%s%%N > %[1]s.start; echo "$TENURE_TOKEN" > %[1]s.token`, filepath.Join(dir, name)))
		require.NoError(t, now.Run())
		require.Greater(t, number(t, filepath.Join(dir, name+".token")), second)
		require.Less(t, number(t, filepath.Join(dir, name+".beat")), number(t, filepath.Join(dir, name+".start")),
			"%s: two holders", name)
	}
	for _, holder := range []*exec.Cmd{before, after} {
		_ = programstest.Wait(t, holder)
		require.Equal(t, 123, holder.ProcessState.ExitCode(), "the lease is lost")
	}
	r.kill()
	r = startLost(t, "127.0.0.1:0", data) // does not wait again
	require.Equal(t, 0, r.try("after"))
	r.kill()
}

// TestRestore_Move moves a stopped server. The holder keeps its lock.
func TestRestore_Move(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, data := filepath.Join(dir, "backup"), filepath.Join(dir, "data")
	s := startLost(t, "127.0.0.1:0", data)
	holder := s.holder(dir, "deploy", "1m")
	token := number(t, filepath.Join(dir, "deploy.token"))
	s.kill()
	ok(t, "backup", "--data", data, file)
	require.NoError(t, os.RemoveAll(data))
	require.Contains(t, ok(t, "restore", file, "--to", data, "--keep-sessions"), "never start the old server again")
	r := startLost(t, s.addr, data)
	ok(t, "check", "--ydb", r.dsn, "deploy", strconv.FormatInt(token, 10))
	require.Eventually(t, func() bool {
		return strings.Contains(ok(t, "session", "ls", "--ydb", r.dsn, "--admin", r.admin, "-o", "json"), `"connected":true`)
	}, soon, 20*time.Millisecond, "the holder comes back")
	require.NoError(t, holder.Process.Signal(os.Interrupt))
	_ = programstest.Wait(t, holder)
	require.NotEqual(t, 123, holder.ProcessState.ExitCode())
	r.kill()
}
