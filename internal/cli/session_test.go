package cli_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
	"tenure/internal/relaytest"
)

// settings is a command that prints the server and the node that its flags choose. With an argument it opens a client.
func settings(env *cli.Env) *cobra.Command {
	var s cli.Session
	cmd := &cobra.Command{Use: "demo", Args: cobra.MaximumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		if err := s.Check(); err != nil {
			return err
		}
		if len(args) == 0 {
			_, err := fmt.Fprintf(env.Stdout, "%s, node %s\n", s.Place(), s.Path)

			return err
		}
		client, err := s.Open(cmd.Context(), s.NewMonitor())
		if err == nil {
			client.Close(cmd.Context())
		}

		return err
	}}
	s.AddFlags(cmd, env)

	return cmd
}

func TestSession_Check(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, vars string
		line       []string
		want       string
	}{
		{"default", "HOME=/h", nil, "the embedded server in /h/.local/state/tenure, node /local/tenure"},
		{
			"embedded", "HOME=/h",
			[]string{"--ydb", "embedded"},
			"the embedded server in /h/.local/state/tenure, node /local/tenure",
		},
		{
			"embedded by the variable", "TENURE_DSN=embedded,TENURE_DIR=/d", nil,
			"the embedded server in /d, node /local/tenure",
		},
		{
			"embedded by the flag", "TENURE_DSN=grpc://a:1/b",
			[]string{"--ydb=embedded", "--dir=/d"},
			"the embedded server in /d, node /local/tenure",
		},
		{"directory", "TENURE_DIR=/d", []string{"--dir", "/x"}, "the embedded server in /x, node /local/tenure"},
		{"server", "", []string{"--ydb", "grpc://localhost:2136/local"}, "grpc://localhost:2136/local, node /local/tenure"},
		{
			"server by the variable", "TENURE_DSN=grpc://localhost:2136/local", nil,
			"grpc://localhost:2136/local, node /local/tenure",
		},
		{"server, unused directory", "TENURE_DIR=/d", []string{"--ydb", "grpc://a:1/b"}, "grpc://a:1/b, node /b/tenure"},
		{
			"trailing slash", "",
			[]string{"--ydb", "grpc://localhost:2136/local/"},
			"grpc://localhost:2136/local/, node /local/tenure",
		},
		{
			"database as a parameter", "",
			[]string{"--ydb", "grpcs://ydb:2135/?database=/ru/etn"},
			"grpcs://ydb:2135/?database=/ru/etn, node /ru/etn/tenure",
		},
		{"path", "", []string{"--ydb", "grpc://a:1/local", "--path", "/local/test"}, "grpc://a:1/local, node /local/test"},
		{"password", "", []string{"--ydb", "grpc://u:secret@a:1/local"}, "grpc://u:xxxxx@a:1/local, node /local/tenure"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, settings, variables(test.vars), test.line...)
			require.Empty(t, stderr)
			require.Equal(t, test.want+"\n", stdout)
			require.Equal(t, cli.ExitOK, code)
		})
	}
}

// A message names the setting at fault, which may be a variable, and hides passwords.
func TestSession_CheckRefuses(t *testing.T) {
	t.Parallel()
	const write = ": write grpc://host:port/database, for example grpc://localhost:2136/local"
	ydb := func(dsn string) []string { return []string{"--ydb", dsn} }
	here, err := os.Getwd()
	require.NoError(t, err)
	for _, test := range []struct {
		name, vars string
		line       []string
		want       string
	}{
		{"empty", "", ydb(""), "--ydb is empty: write --ydb grpc://localhost:2136/local, or leave the flag out"},
		{
			"empty variable", "TENURE_DSN=", nil,
			"TENURE_DSN is empty: write TENURE_DSN=grpc://localhost:2136/local, or unset the variable",
		},
		{"empty directory", "", []string{"--dir="}, "--dir is empty: write --dir /path/to/directory, or leave the flag out"},
		{
			"relative directory variable", "TENURE_DIR=d,HOME=/h", nil,
			`TENURE_DIR="d" is not an absolute path, so each working directory would have its own locks: ` +
				"write TENURE_DIR=" + here + "/d",
		},
		{
			"empty directory variable", "TENURE_DIR=,HOME=/h", nil,
			"TENURE_DIR is empty: write TENURE_DIR=/path/to/directory, or unset the variable",
		},
		{"empty path", "", []string{"--path="}, "--path is empty: write --path /local/tenure, or leave the flag out"},
		{
			"empty credentials", "YDB_ACCESS_TOKEN_CREDENTIALS=", ydb("grpc://a:1/b"),
			"YDB_ACCESS_TOKEN_CREDENTIALS is empty: set it to its value, or unset the variable",
		},
		{
			"path outside of the database", "", append(ydb("grpc://a:1/b"), "--path", "/local/x"),
			`--path="/local/x" is outside the database "/b": write /b/local/x`,
		},
		{"no scheme", "", ydb("a:2136/local"), `--ydb="a:2136/local" is not a valid address` + write},
		{
			"other scheme", "", ydb("http://a:1/local"),
			`--ydb="http://a:1/local" does not begin with grpc://, grpcs:// or unix://` + write,
		},
		{"no host", "", ydb("grpc:///local"), `--ydb="grpc:///local" is not a valid address` + write},
		{"no port", "", ydb("grpc://a/local"), `--ydb="grpc://a/local" has no valid port` + write},
		{"bad port", "", ydb("grpc://a:70000/l"), `--ydb="grpc://a:70000/l" has no valid port` + write},
		{"no database", "", ydb("grpc://a:1/"), `--ydb="grpc://a:1/" has no database` + write},
		{"no database, variable", "TENURE_DSN=grpc://a:1/", nil, `TENURE_DSN="grpc://a:1/" has no database` + write},
		{"password", "", ydb("grpc://u:secret@a/l"), `--ydb="grpc://u:xxxxx@a/l" has no valid port` + write},
		{
			"relative path", "",
			[]string{"--ydb", "grpc://a:1/local", "--path", "test"},
			`--path="test" is not absolute: write /local/test`,
		},
		{
			"short timeout", "",
			[]string{"--dir=/d", "--timeout=1ms"},
			"--timeout=1ms is out of range: must be between 1s and 30m",
		},
		{
			"long timeout, variable", "TENURE_TIMEOUT=1h",
			[]string{"--dir=/d"},
			"TENURE_TIMEOUT=1h0m0s is out of range: must be between 1s and 30m",
		},
		{
			"no time to connect", "",
			[]string{"--dir=/d", "--connect-timeout=0s"},
			"--connect-timeout=0s is out of range: must be above 0s",
		},
		{
			"server and directory", "",
			[]string{"--ydb", "grpc://a:1/b", "--dir", "/d"},
			`--dir is only for the embedded server, but --ydb="grpc://a:1/b": leave --dir out, or write --ydb embedded`,
		},
		{
			"server by the variable and directory", "TENURE_DSN=grpc://a:1/b",
			[]string{"--dir", "/d"},
			`--dir is only for the embedded server, but TENURE_DSN="grpc://a:1/b": leave --dir out, or write --ydb embedded`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, settings, variables(test.vars), test.line...)
			require.Equal(t, "demo: "+test.want+"\n", stderr)
			require.Empty(t, stdout)
			require.Equal(t, cli.ExitFailure, code)
		})
	}
}

// The configuration shows the state directory and what chose it.
func TestSession_PrintConfig(t *testing.T) {
	t.Parallel()
	_, stdout, stderr := run(t, settings, variables("HOME=/home/me,TENURE_TIMEOUT=30s"), "--no-create", "--print-config")
	require.Empty(t, stderr)
	require.Equal(t, `--ydb               embedded                       default
--dir               /home/me/.local/state/tenure   HOME
--path              /local/tenure                  default
--no-create         true                           command line
--timeout           30s                            TENURE_TIMEOUT
--connect-timeout   10s                            default
--ca-file                                          default
--cert-file                                        default
--key-file                                         default
--auth-token-file                                  default
--verbose           false                          default
`, stdout)

	_, stdout, stderr = run(t, settings, variables("TENURE_DSN=grpc://a:1/b,TENURE_DIR=/d"), "--print-config", "-v")
	require.Empty(t, stderr)
	require.Contains(t, stdout, "TENURE_DSN\n")
	require.Contains(t, stdout, "/b/tenure")
}

func TestSession_Verbose(t *testing.T) {
	t.Parallel()
	for vars, want := range map[string]string{
		"HOME=/h,XDG_STATE_HOME=/x": "demo: using the embedded server in /x/tenure (from XDG_STATE_HOME)\n",
		"TENURE_DIR=/d":             "demo: using the embedded server in /d (from TENURE_DIR)\n",
		"TENURE_DSN=grpc://a:1/b":   "demo: using the server grpc://a:1/b (from TENURE_DSN)\n",
	} {
		_, _, stderr := run(t, settings, variables(vars), "-v")
		require.Equal(t, want, stderr)
	}
	_, _, stderr := run(t, settings, nil, "--verbose", "--dir", "/d")
	require.Equal(t, "demo: using the embedded server in /d (from --dir)\n", stderr)

	here, err := os.Getwd()
	require.NoError(t, err)
	_, _, stderr = run(t, settings, nil, "--verbose", "--dir", "d")
	require.Equal(t,
		"demo: using the embedded server in "+here+"/d (from --dir=\"d\", in the working directory)\n", stderr)
}

func TestSession_OpenReportsThatThereIsNoServer(t *testing.T) {
	t.Parallel()
	address := relaytest.FreeAddress(t)
	code, _, stderr := run(t, settings, variables("TENURE_DSN=grpc://"+address+"/local"), "open")
	require.Equal(t, "demo: no server at "+address+
		` (connection refused): start one with "tenure serve", or check TENURE_DSN`+"\n", stderr)
	require.Equal(t, cli.ExitFailure, code)
}

// Something else on the port is named, with the setting that has the address.
func TestSession_OpenReportsOtherServers(t *testing.T) {
	t.Parallel()
	const (
		other = "is not a YDB or tenure server "
		check = ": check the port in TENURE_DSN"
	)
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	for name, test := range map[string]struct{ address, want string }{
		"HTTP":  {web.Listener.Addr().String(), other + "(an HTTP server answers)" + check},
		"SSH":   {banner(t, "SSH-2.0-OpenSSH_9.6\r\n"), other + "(an SSH server answers)" + check},
		"SMTP":  {banner(t, "220 mail.example ESMTP\r\n"), other + "(it does not answer by HTTP/2)" + check},
		"HTTPS": {secure.Listener.Addr().String(), "requires TLS: write grpcs:// instead of grpc:// in TENURE_DSN"},
		"silent": {banner(t, ""), "within 500ms: it accepts connections but sends nothing: check that the server is not " +
			"stopped or overloaded, and the port in TENURE_DSN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := run(t, settings, variables("TENURE_DSN=grpc://"+test.address+"/local"),
				"--connect-timeout", "500ms", "open")
			require.Equal(t, cli.ExitFailure, code)
			require.Contains(t, stderr, test.address)
			require.Contains(t, stderr, test.want)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		})
	}
}

// banner returns the address of a server that sends the text and nothing else.
func banner(t *testing.T, text string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed by the test
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, text)
				_, _ = io.Copy(io.Discard, conn) // until the client closes the connection
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})

	return listener.Addr().String()
}

func TestSession_OpenEmbedded(t *testing.T) {
	t.Parallel()
	code, _, stderr := run(t, settings, nil, "--ydb", "embedded", "--dir", filepath.Join(t.TempDir(), "state"), "open")
	require.Empty(t, stderr)
	require.Equal(t, cli.ExitOK, code)
}
