package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"tenure/internal/cli"
	"tenure/internal/store/storetest"
)

// tenureRun runs a command line until it ends.
func tenureRun(t *testing.T, vars map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon) // in case it serves, which it should not
	defer cancel()
	var out, errs bytes.Buffer
	code = cli.Run(ctx, build, &cli.Env{
		Args:      args,
		LookupEnv: func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
		Stdin:     strings.NewReader(""),
		Stdout:    &out,
		Stderr:    &errs,
	})

	return code, out.String(), errs.String()
}

// A serving is a "tenure serve" that runs in this process.
type serving struct {
	t      *testing.T
	ready  string // the line that it prints when it is ready
	addr   string
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended and the fields below are set
	code   int
	rest   string // its output after the ready line
	stderr string
}

var readyLine = regexp.MustCompile(`^tenure: serving grpcs?://([a-zA-Z0-9.-]+:[1-9][0-9]*)/[a-z/]+, data .+$`)

// startServing starts "tenure serve" with the arguments and waits until it is ready.
func startServing(t *testing.T, vars map[string]string, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &serving{t: t, cancel: cancel, done: make(chan struct{})}
	out, w := io.Pipe()
	var errs bytes.Buffer
	lines := bufio.NewReader(out)
	go func() {
		s.code = cli.Run(ctx, build, &cli.Env{
			Args:      append([]string{"serve"}, args...),
			LookupEnv: func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
			Stdin:     strings.NewReader(""),
			Stdout:    w,
			Stderr:    &errs,
		})
		s.stderr = errs.String()
		w.Close()
	}()
	line, err := lines.ReadString('\n')
	go func() {
		defer close(s.done)
		rest, _ := io.ReadAll(lines)
		s.rest = string(rest)
	}()
	t.Cleanup(func() { s.stop() })
	if err != nil {
		<-s.done
		require.NoError(t, err, s.stderr)
	}
	s.ready = strings.TrimSuffix(line, "\n")
	found := readyLine.FindStringSubmatch(s.ready)
	require.NotNil(t, found, s.ready)
	s.addr = found[1]

	return s
}

// stop ends the server, which must succeed, and returns its log.
func (s *serving) stop() (stderr string) {
	s.t.Helper()
	s.cancel()
	<-s.done
	require.Equal(s.t, cli.ExitOK, s.code, s.stderr)
	require.Empty(s.t, s.rest, "the ready line is the only output")

	return s.stderr
}

func (s *serving) client() Ydb_Coordination_V1.CoordinationServiceClient {
	s.t.Helper()

	return client(s.t, s.addr)
}

func client(t *testing.T, addr string) Ydb_Coordination_V1.CoordinationServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })

	return Ydb_Coordination_V1.NewCoordinationServiceClient(conn)
}

func createNode(t *testing.T, c Ydb_Coordination_V1.CoordinationServiceClient, path string) {
	t.Helper()
	answer, err := c.CreateNode(t.Context(), &Ydb_Coordination.CreateNodeRequest{Path: path})
	require.NoError(t, err)
	require.Equal(t, Ydb.StatusIds_SUCCESS, answer.GetOperation().GetStatus(), answer)
}

func describeNode(t *testing.T, c Ydb_Coordination_V1.CoordinationServiceClient, path string) Ydb.StatusIds_StatusCode {
	t.Helper()
	answer, err := c.DescribeNode(t.Context(), &Ydb_Coordination.DescribeNodeRequest{Path: path})
	require.NoError(t, err)

	return answer.GetOperation().GetStatus()
}

func TestServe_PrintsItsAddress(t *testing.T) {
	t.Parallel()
	dir, home := filepath.Join(t.TempDir(), "a", "data"), t.TempDir()
	type vars = map[string]string
	inHome := filepath.Join(".local", "state", "tenure", "serve")
	for name, test := range map[string]struct {
		vars     vars
		args     []string
		database string
		data     string // directory; empty: in memory
	}{
		"data directory": {args: []string{"-data", dir}, database: "/local", data: dir},
		"in memory":      {args: []string{"--memory"}, database: "/local"},
		"database":       {args: []string{"-memory", "--database", "/my/base"}, database: "/my/base"},
		"state directory": {
			vars: vars{"XDG_STATE_HOME": home, "HOME": "/none"}, database: "/local",
			data: filepath.Join(home, "tenure", "serve"),
		},
		"home directory": {
			vars: vars{"XDG_STATE_HOME": "relative", "HOME": home}, database: "/local", data: filepath.Join(home, inHome),
		},
		"service of systemd": {
			vars: vars{"STATE_DIRECTORY": home + "/service:/none"}, database: "/local",
			data: filepath.Join(home, "service", "tenure", "serve"),
		},
		"by variables": {
			vars: vars{"TENURE_DATA": dir + "2", "TENURE_DATABASE": "/x"}, database: "/x", data: dir + "2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServing(t, test.vars, append(test.args, "--listen", "127.0.0.1:0")...)
			data := "in memory only"
			if test.data != "" {
				data = "in " + test.data
				require.DirExists(t, test.data)
			}
			require.Equal(t, "tenure: serving grpc://"+s.addr+test.database+", data "+data, s.ready)
			createNode(t, s.client(), test.database+"/node")
			s.stop()
		})
	}
}

func TestServe_KeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startServing(t, nil, "--listen", "127.0.0.1:0", "--data", dir)
	createNode(t, first.client(), "/local/node")
	first.stop()

	second := startServing(t, nil, "--listen", "127.0.0.1:0", "--data", dir)
	require.Equal(t, Ydb.StatusIds_SUCCESS, describeNode(t, second.client(), "/local/node"))
}

func TestServe_ForgetsWhatWasInMemory(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	first := startServing(t, map[string]string{"HOME": home}, "--listen", "127.0.0.1:0", "--memory")
	createNode(t, first.client(), "/local/node")
	first.stop()
	left, err := os.ReadDir(home)
	require.NoError(t, err)
	require.Empty(t, left)

	second := startServing(t, nil, "--listen", "127.0.0.1:0", "--memory")
	require.Equal(t, Ydb.StatusIds_SCHEME_ERROR, describeNode(t, second.client(), "/local/node"))
}

func TestServe_LogsJSONLines(t *testing.T) {
	t.Parallel()
	s := startServing(t, nil, "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--log-format=json", "--log-level=debug")
	createNode(t, s.client(), "/local/node")
	log := s.stop()

	levels := map[string]bool{}
	for line := range strings.Lines(log) {
		var entry struct {
			Time, Level, Msg string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		require.NotEmpty(t, entry.Time, line)
		require.NotEmpty(t, entry.Msg, line)
		levels[entry.Level] = true
	}
	require.Equal(t, map[string]bool{"DEBUG": true, "INFO": true}, levels)
}

func TestServe_LogLevel(t *testing.T) {
	t.Parallel()
	s := startServing(t, nil, "--listen", "127.0.0.1:0", "--memory", "--log-level", "warn")
	require.Empty(t, s.stop())
}

// An error is one line on standard error, and the exit code is 125.
func TestServe_ErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { busy.Close() })
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	const (
		listen = "--listen 127.0.0.1:0 "
		open   = `": other machines can reach this address: pass --tls-cert, --tls-key, and --tokens or --tls-client-ca; ` +
			`or pass --insecure if you trust that network`
	)
	for name, test := range map[string]struct{ line, want string }{
		"level":   {"--memory --log-level loud", `--log-level="loud" is not a level: write debug, info, warn or error`},
		"format":  {"--memory --log-format xml", `--log-format="xml" is not a format: write text or json`},
		"no port": {"--memory --listen localhost", `--listen="localhost" is not host:port: write e.g. 127.0.0.1:2136`},
		"no such port": {
			"--memory --listen 127.0.0.1:x", `--listen="127.0.0.1:x" has no valid port: write e.g. 127.0.0.1:2136`,
		},
		"port too high": {
			"--memory --listen [::1]:70000", `--listen="[::1]:70000" has no valid port: write e.g. 127.0.0.1:2136`,
		},
		"not our address": {
			"--memory --insecure --listen 192.0.2.1:2136",
			`listen on "192.0.2.1:2136": bind: cannot assign requested address: check --listen`,
		},
		"all addresses":      {"--memory --listen :0", `--listen=":0` + open},
		"all IPv4 addresses": {"--memory --listen 0.0.0.0:0", `--listen="0.0.0.0:0` + open},
		"a host":             {"--memory --listen example.com:0", `--listen="example.com:0` + open},
		"address in use": {
			"--memory --listen " + busy.Addr().String(),
			busy.Addr().String() + " is in use by another program: choose another address with --listen",
		},
		"database": {
			"--memory --database local " + listen,
			`invalid database name "local" (expected a path such as "/local"): ` +
				`path "local" is not absolute: it must start with "/"`,
		},
		"data and memory": {
			listen + "--memory --data x", `--memory keeps nothing on disk, but --data="x" is given: leave one of them out`,
		},
		"data is a file": {
			listen + "--data " + file,
			fmt.Sprintf("--data=%q: part of the path is a file: choose another directory", file),
		},
		"argument":       {"--memory now", `unexpected argument "now": see tenure serve --help`},
		"flag":           {"--memory -fast", `unknown flag --fast: see tenure serve --help`},
		"typing error":   {"--memroy", `unknown flag --memroy: did you mean --memory?`},
		"empty address":  {"--memory --listen=", "--listen is empty: write --listen 127.0.0.1:2136, or leave the flag out"},
		"empty data":     {listen + "--data=", "--data is empty: write --data /path/to/directory, or leave the flag out"},
		"empty database": {"--memory --database=", "--database is empty: write --database /local, or leave the flag out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := tenureRun(t, nil, strings.Fields("serve "+test.line)...)
			require.Equal(t, cli.ExitFailure, code)
			require.Empty(t, stdout)
			require.Equal(t, "tenure: "+test.want+"\n", stderr)
		})
	}
}

func TestServe_RefusesDataOfALaterVersion(t *testing.T) {
	t.Parallel()
	dir := keptStore(t)
	storetest.MakeNewer(t, dir, 999)

	code, stdout, stderr := tenureRun(t, nil, "serve", "--listen", "127.0.0.1:0", "--data", dir)
	require.Equal(t, cli.ExitFailure, code)
	require.Empty(t, stdout)
	require.Regexp(t, fmt.Sprintf(`^tenure: open store %q: store format is too new \(format 999; this is `+
		`tenure [^,]+, which reads format 4\): run the version that wrote it, or a later one\n$`, dir),
		stderr)
}

// keptStore makes a data directory with a node in it.
func keptStore(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s := startServing(t, nil, "--listen", "127.0.0.1:0", "--data", dir)
	createNode(t, s.client(), "/local/node")
	s.stop()

	return dir
}

func TestServe_TwoCannotShareData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startServing(t, nil, "--listen", "127.0.0.1:0", "--data", dir)

	code, stdout, stderr := tenureRun(t, nil, "serve", "--listen", "127.0.0.1:0", "--data", dir)
	require.Equal(t, cli.ExitFailure, code)
	require.Empty(t, stdout)
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Regexp(t, fmt.Sprintf(`^tenure: open store %q: store is in use by process %d on %s \([^\n]+, since [^\n]+\): `+
		`stop that process, or choose another directory\n$`, dir, os.Getpid(), regexp.QuoteMeta(host)), stderr)
}
