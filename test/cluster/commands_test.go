package cluster_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/test/cluster/clustertest"
)

// command returns the command with the arguments and no settings of the environment.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	dir, err := clustertest.Commands("")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // kills a process that does not end
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "tenure"), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TENURE_CONFIG=" + os.DevNull}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	return cmd
}

// run runs the command, and returns its exit code and output.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := command(t, args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); !exited { //nolint:errorlint // it is not wrapped
		require.NoError(t, err)
	}

	return cmd.ProcessState.ExitCode(), out.String(), complaints.String()
}

// requireRun is run for a command that succeeds.
func requireRun(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := run(t, args...)
	require.Zero(t, code, "%v: %s", args, stderr)

	return stdout
}

// A server is a process of tenure serve.
type server struct {
	*exec.Cmd

	dsn, admin string
	log        string // a file
}

var (
	servingLine = regexp.MustCompile(`tenure: serving (grpcs?://\S+),`)
	adminLine   = regexp.MustCompile(`msg="serving HTTP" address=(\S+)`)
)

// serve starts a server, which the end of the test stops.
func serve(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{log: filepath.Join(t.TempDir(), "log")}
	s.Cmd = command(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"}, args...)...)
	log, err := os.Create(s.log)
	require.NoError(t, err)
	defer log.Close()
	s.Stderr = log
	out, err := s.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.Start())
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			text, _ := os.ReadFile(s.log)
			t.Logf("server %s: %s", s.dsn, text)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	text, _ := os.ReadFile(s.log)
	require.NoError(t, err, string(text))
	s.dsn = servingLine.FindStringSubmatch(line)[1]
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(s.log)
		found := adminLine.FindSubmatch(text)
		if found != nil {
			s.admin = string(found[1])
		}

		return err == nil && found != nil
	}, time.Minute, time.Millisecond)

	return s
}

// stop stops the server with SIGTERM and waits for its end.
func (s *server) stop() {
	_ = s.Process.Signal(syscall.SIGTERM)
	_ = s.Wait()
}

// requireMetrics requires that the server has the metrics, each of which begins a line.
func requireMetrics(t *testing.T, s *server, metrics ...string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.admin+"/metrics", http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	for _, m := range metrics {
		require.Contains(t, string(text), "\n"+m)
	}
}
