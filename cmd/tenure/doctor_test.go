package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Discovery_V1"
	"google.golang.org/grpc"

	"tenure/internal/access"
	"tenure/internal/certs/certtest"
	"tenure/internal/doctor"
	"tenure/server"
	"tenure/tenuretest"
)

// examined runs doctor, and returns its exit code and its lines by check.
func examined(t *testing.T, vars map[string]string, args ...string) (code int, lines map[string]doctor.Line) {
	t.Helper()
	code, stdout, stderr := tenureRun(t, vars, append([]string{"doctor", "-o", "json"}, args...)...)
	require.Empty(t, stderr)
	lines = make(map[string]doctor.Line)
	worst := 0
	for text := range strings.Lines(stdout) {
		var l doctor.Line
		require.NoError(t, json.Unmarshal([]byte(text), &l))
		require.Equal(t, l.Result == doctor.OK, l.Do == "", "a line says what to do unless it is ok: %s", text)
		worst = max(worst, map[doctor.Result]int{doctor.Warn: 1, doctor.Bad: 2}[l.Result])
		lines[l.Check] = l
	}
	require.Equal(t, worst, code)

	return code, lines
}

// Nothing is bad on servers that work, and every check has a line.
func TestDoctor_Works(t *testing.T) {
	t.Parallel()
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			code, lines := examined(t, nil, append(p.flags, "--timeout", "30m")...)
			require.Less(t, code, 2, lines)
			checks := []string{"variables", "open files", "node", "rights", "round trip", "commit", "clock rate", "clock"}
			if p.name == "embedded" {
				checks = append(checks, "state directory", "disk space", "disk sync")
			} else {
				checks = append(checks, "connection", "token")
			}
			for _, check := range checks {
				require.Contains(t, lines, check)
			}
			want := doctor.OK
			if p.name == "admin" { // its version is "test"
				want = doctor.Warn
			}
			require.Equal(t, want, lines["version"].Result, lines["version"])
		})
	}
}

// listening returns the address of a listener that serve uses.
func listening(t *testing.T, serve func(net.Listener)) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(lis)
	}()
	t.Cleanup(func() {
		_ = lis.Close()
		<-done
	})

	return lis.Addr().String()
}

func grpcServer(t *testing.T, register func(*grpc.Server)) string {
	t.Helper()
	s := grpc.NewServer()
	register(s)
	t.Cleanup(s.Stop)

	return listening(t, func(lis net.Listener) { _ = s.Serve(lis) })
}

// discovery is a server that knows nothing but itself.
type discovery struct {
	Ydb_Discovery_V1.UnimplementedDiscoveryServiceServer
}

// Each fault on the way to a server is found, and the line says what to do.
func TestDoctor_Faults(t *testing.T) {
	t.Parallel()
	plain := tenuretest.NewServer(t)
	plainHost := strings.TrimSuffix(strings.TrimPrefix(plain.DSN(), "grpc://"), "/local")
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	silent := listening(t, func(lis net.Listener) {
		for conn, err := lis.Accept(); err == nil; conn, err = lis.Accept() {
			defer conn.Close()
		}
	})
	closed := listening(t, func(lis net.Listener) { _ = lis.Close() })
	ca := certtest.New(t)
	secured := func(change ...func(*x509.Certificate)) string {
		pair := ca.Issue(t, change...).TLS(t)
		s := tenuretest.NewServer(t, server.WithTLS(&tls.Config{Certificates: []tls.Certificate{pair}}))

		return strings.TrimSuffix(s.DSN()[strings.Index(s.DSN(), "://")+3:], "/local")
	}
	secure := secured()
	dir := t.TempDir()
	trusted, other := ca.WriteFile(t, dir, "ca.pem"), certtest.New(t).WriteFile(t, dir, "other.pem")
	for name, test := range map[string]struct {
		flags       string
		check       string
		found, todo string
	}{
		"wrong DSN": {
			"--ydb gpc://a:1/local", "settings", "does not begin with grpc://",
			"for example grpc://localhost:2136/local",
		},
		"wrong timeout": {
			"--ydb grpc://a:1/local --timeout 1ms", "settings", "--timeout=1ms is out of range",
			"must be between",
		},
		"unknown name": {"--ydb grpc://nosuch.invalid:1/local", "name", "nosuch.invalid:1", "check "},
		"refused": {
			"--ydb grpc://" + closed + "/local", "connection",
			"(connection refused)", `start one with "tenure serve"`,
		},
		"no socket": {
			"--ydb unix:///none/socket", "connection",
			"no server at /none/socket", `start one with "tenure serve --socket`,
		},
		"silent": {
			"--ydb grpc://" + silent + "/local", "server",
			"no answer from " + silent, "check that the server is not stopped",
		},
		"HTTP": {
			"--ydb grpc://" + web.Listener.Addr().String() + "/local", "server", "(an HTTP server answers)",
			"check the port",
		},
		"TLS":    {"--ydb grpc://" + secure + "/local", "server", "requires TLS", "write grpcs://"},
		"no TLS": {"--ydb grpcs://" + plainHost + "/local", "server", "does not use TLS", "write grpc://"},
		"another gRPC server": {
			"--ydb grpc://" + grpcServer(t, func(*grpc.Server) {}) + "/local", "server", "is not a YDB or tenure server",
			"check the port",
		},
		"another gRPC server with discovery": {
			"--ydb grpc://" + grpcServer(t, func(s *grpc.Server) {
				Ydb_Discovery_V1.RegisterDiscoveryServiceServer(s, discovery{})
			}) + "/local", "server", "is not a YDB or tenure server", "check the port",
		},
		"no database": {
			"--ydb grpc://" + plainHost + "/other", "server", `has no database "/other"`, "check the database",
		},
		"unknown authority": {
			"--ydb grpcs://" + secure + "/local --ca-file " + other, "server", "is not signed by an authority", "set --ca-file",
		},
		"another name": {
			"--ydb grpcs://" + secured(func(c *x509.Certificate) {
				c.DNSNames, c.IPAddresses = []string{"locks.example"}, nil
			}) + "/local --ca-file " + trusted, "server", "is for locks.example, and not for", "write one of its names",
		},
		"expired": {
			"--ydb grpcs://" + secured(func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(1) }) + "/local --ca-file " +
				trusted, "certificate", "(expired)", "give the server a new certificate",
		},
		"ends soon": {
			"--ydb grpcs://" + secure + "/other --ca-file " + trusted, "certificate", "(0 days left)", "give the server a new",
		},
		"no admin address": {
			"--ydb grpc://" + plainHost + "/local --admin http://" + closed, "admin", "connection refused", "check --admin",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, lines := examined(t, nil, append(strings.Fields(test.flags), "--connect-timeout", "2s")...)
			require.Positive(t, code)
			line := lines[test.check]
			require.Contains(t, line.Found, test.found, lines)
			require.Contains(t, line.Do, test.todo, lines)
			require.NotEqual(t, doctor.OK, line.Result)
		})
	}
}

// A token that the server does not know is found.
func TestDoctor_Token(t *testing.T) {
	t.Parallel()
	_, hash := access.NewToken()
	wrong, _ := access.NewToken()
	file := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(file, []byte("user ann token="+hash+"\ngrant ann /local use\n"), 0o600))
	s := tenuretest.NewServer(t, server.WithTokensFile(file))
	for _, vars := range []map[string]string{nil, {"YDB_ACCESS_TOKEN_CREDENTIALS": wrong}} {
		code, lines := examined(t, vars, "--ydb", s.DSN())
		require.Equal(t, 2, code)
		require.Contains(t, lines["server"].Found, "refuses the credentials")
		require.Contains(t, lines["server"].Do, "check --auth-token-file")
	}
}

// A process with few descriptors and a mistyped variable says so.
func TestDoctor_Process(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/sh", "-c", `ulimit -n 100 && exec "$0" doctor --ydb grpc://127.0.0.1:1/local`, os.Args[0])
	cmd.Env = []string{asTenure + "=1", "TENURE_TIMEOT=5s", "HOME=" + t.TempDir(), "GORACE=atexit_sleep_ms=0"}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	require.Equal(t, 2, cmd.ProcessState.ExitCode(), errs.String())
	require.Empty(t, errs.String())
	require.Equal(t, `warn  variables: no command knows the variable TENURE_TIMEOT, so it has no effect: `+
		`write TENURE_TIMEOUT, or unset it
bad   open files: this process may open only 100 files, and needs 128: raise it with ulimit -n, or with LimitNOFILE= `+
		`in a unit
bad   connection: no server at 127.0.0.1:1 (connection refused): start one with "tenure serve", or check --ydb
`, out.String())
}

// The data directory of a server is checked on request, and not created.
func TestDoctor_Data(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	code, lines := examined(t, nil, "--ydb", "grpc://127.0.0.1:1/local", "--data", filepath.Join(dir, "serve"))
	require.Equal(t, 2, code)
	require.Contains(t, lines["data directory"].Found, fmt.Sprintf("%s/serve does not exist yet, and %s", dir, dir))
	require.Contains(t, lines, "disk sync")
}
