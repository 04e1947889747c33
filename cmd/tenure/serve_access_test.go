package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Discovery_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Discovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"tenure/internal/certs/certtest"
	"tenure/internal/cli"
	"tenure/internal/programs/programstest"
)

// One line says what to do about each thing that is wrong, and the server does not start.
func TestServe_RefusesAccess(t *testing.T) {
	t.Parallel()
	ca, dir := certtest.New(t), t.TempDir()
	cert, key := ca.Issue(t).WriteFiles(t, dir, "server")
	expired, expiredKey := ca.Issue(t, func(c *x509.Certificate) {
		c.NotAfter = time.Date(2025, 1, 2, 3, 4, 0, 0, time.UTC)
	}).WriteFiles(t, dir, "expired")
	empty, open := filepath.Join(dir, "empty"), filepath.Join(dir, "open")
	certtest.Replace(t, empty, nil)
	certtest.Replace(t, open, []byte("user a token=x\n"))
	require.NoError(t, os.Chmod(open, 0o644))
	secure := "--tls-cert " + cert + " --tls-key " + key
	for name, test := range map[string]struct{ line, want string }{
		"no key": {
			"--tls-cert " + cert, fmt.Sprintf("--tls-cert=%q needs a private key: pass --tls-key", cert),
		},
		"no certificate": {
			"--tls-key " + key, fmt.Sprintf("--tls-key=%q needs a certificate: pass --tls-cert", key),
		},
		"client authorities without TLS": {
			"--tls-client-ca " + cert, fmt.Sprintf("--tls-client-ca=%q needs TLS: pass --tls-cert and --tls-key", cert),
		},
		"no identity": {
			"--listen :0 " + secure, `--listen=":0": other machines can reach this address: pass --tokens or ` +
				`--tls-client-ca; or pass --insecure if you trust that network`,
		},
		"no TLS": {
			"--listen :0 --tls-client-ca " + cert, fmt.Sprintf("--tls-client-ca=%q needs TLS: pass --tls-cert and --tls-key\n",
				cert) + `tenure: --listen=":0": other machines can reach this address: pass --tls-cert, --tls-key; or pass ` +
				`--insecure if you trust that network`,
		},
		"expired": {
			"--tls-cert " + expired + " --tls-key " + expiredKey,
			fmt.Sprintf("--tls-cert=%q expired on 2025-01-02 03:04 UTC: get a new certificate", expired),
		},
		"empty tokens file": {"--tokens " + empty, fmt.Sprintf("--tokens: %s: the file has no user", empty)},
		"open tokens file": {
			"--tokens " + open, fmt.Sprintf("--tokens: tokens file: other users can use %s (mode 0644): run chmod go-rwx %s",
				open, open),
		},
		"lifetime without tokens": {
			"--token-lifetime 1h", "--token-lifetime=1h0m0s is for users of a tokens file: pass --tokens, or leave " +
				"--token-lifetime out",
		},
		"lifetime": {
			"--token-lifetime 1s", "--token-lifetime=1s is out of range: must be between 1m0s and 8760h0m0s",
		},
		"advertise": {
			"--advertise example.com", `--advertise="example.com" is not an address: write grpc://host:port or ` +
				`grpcs://host:port`,
		},
		"socket in no directory": {
			"--socket " + dir + "/none/socket",
			fmt.Sprintf("--socket=%q: %s is not a directory: create it, or choose another path", dir+"/none/socket",
				dir+"/none"),
		},
		"socket is a file": {
			"--socket " + cert,
			fmt.Sprintf("--socket=%q exists and is not a socket: move it away, or choose another path", cert),
		},
		"all of it": {
			"--listen x --socket " + cert + " --tls-cert " + empty + " --tls-key " + key,
			`--listen="x" is not host:port: write e.g. 127.0.0.1:2136` + "\n" +
				fmt.Sprintf("tenure: --socket=%q exists and is not a socket: move it away, or choose another path\n", cert) +
				fmt.Sprintf("tenure: --tls-cert=%q is empty: name a file with a certificate in PEM form", empty),
		},
	} {
		for _, check := range []string{"", " --check"} {
			t.Run(name+check, func(t *testing.T) {
				t.Parallel()
				code, stdout, stderr := tenureRun(t, nil, strings.Fields("serve --memory "+test.line+check)...)
				require.Equal(t, cli.ExitFailure, code)
				require.Empty(t, stdout)
				require.True(t, strings.HasPrefix(stderr, "tenure: "+test.want), stderr)
				require.FileExists(t, cert)
			})
		}
	}
}

func TestServe_Check(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := certtest.New(t).Issue(t).WriteFiles(t, dir, "server")
	data, file := filepath.Join(dir, "a", "data"), filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	busy, err := net.Listen("tcp", "127.0.0.1:0") // as of the server whose new configuration is checked
	require.NoError(t, err)
	defer busy.Close()
	code, stdout, stderr := tenureRun(t, nil, "serve", "--check", "--listen", busy.Addr().String(), "--data", data,
		"--tls-cert", cert, "--tls-key", key)
	require.Equal(t, cli.ExitOK, code, stderr)
	require.Equal(t, "ok\n", stdout)
	require.NoDirExists(t, data)

	code, _, stderr = tenureRun(t, nil, "serve", "--check", "--data", filepath.Join(file, "data"), "--database", "x")
	require.Equal(t, cli.ExitFailure, code)
	require.Equal(t, `tenure: invalid database name "x" (expected a path such as "/local"): path "x" is not absolute: it `+
		"must start with \"/\"\n"+
		fmt.Sprintf("tenure: --data=%q: part of the path is a file: choose another directory\n", file+"/data"), stderr)
}

// dial returns a connection with TLS. It uses the pairs as the client's certificates.
func dial(t *testing.T, addr string, ca *certtest.Authority, pairs ...certtest.Pair) *grpc.ClientConn {
	t.Helper()
	config := &tls.Config{RootCAs: ca.Pool()}
	for _, p := range pairs {
		config.Certificates = append(config.Certificates, p.TLS(t))
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })

	return conn
}

func endpoints(t *testing.T, conn *grpc.ClientConn) (string, error) {
	t.Helper()
	answer, err := Ydb_Discovery_V1.NewDiscoveryServiceClient(conn).ListEndpoints(t.Context(),
		&Ydb_Discovery.ListEndpointsRequest{Database: "/local"})
	if err != nil {
		return "", err
	}
	var result Ydb_Discovery.ListEndpointsResult
	require.NoError(t, answer.GetOperation().GetResult().UnmarshalTo(&result))
	e := result.GetEndpoints()[0]

	return fmt.Sprintf("%s:%d %v", e.GetAddress(), e.GetPort(), e.GetSsl()), nil
}

func TestServe_TLS(t *testing.T) {
	t.Parallel()
	ca, dir := certtest.New(t), t.TempDir()
	cert, key := ca.Issue(t).WriteFiles(t, dir, "server")
	s := startServing(t, nil, "--listen", "127.0.0.1:0", "--memory", "--tls-cert", cert, "--tls-key", key)
	require.Equal(t, "tenure: serving grpcs://"+s.addr+"/local, data in memory only", s.ready)
	got, err := endpoints(t, dial(t, s.addr, ca))
	require.NoError(t, err)
	require.Equal(t, s.addr+" true", got)
}

// Without --tokens, clients need a certificate.
func TestServe_ClientCertificates(t *testing.T) {
	t.Parallel()
	ca, dir := certtest.New(t), t.TempDir()
	cert, key := ca.Issue(t).WriteFiles(t, dir, "server")
	s := startServing(t, nil, "--listen", "127.0.0.1:0", "--memory", "--tls-cert", cert, "--tls-key", key,
		"--tls-client-ca", ca.WriteFile(t, dir, "clients.pem"))
	_, err := endpoints(t, dial(t, s.addr, ca))
	require.Error(t, err)
	_, err = endpoints(t, dial(t, s.addr, ca, ca.Issue(t)))
	require.NoError(t, err)
}

// New connections get a new certificate, and those that there are stay.
func TestServe_ReplacesCertificatesUnderStreams(t *testing.T) {
	t.Parallel()
	ca, dir := certtest.New(t), t.TempDir()
	cert, key := ca.Issue(t).WriteFiles(t, dir, "server")
	cmd, addr, stderr := process(t, "serve", "--listen", "127.0.0.1:0", "--memory", "--tls-cert", cert, "--tls-key", key)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	const streams, connections = 100, 5
	var all []Ydb_Coordination_V1.CoordinationService_SessionClient
	for i := range connections {
		c := Ydb_Coordination_V1.NewCoordinationServiceClient(dial(t, addr, ca))
		if i == 0 {
			createNode(t, c, "/local/node")
		}
		for range streams / connections {
			stream, err := c.Session(ctx)
			require.NoError(t, err)
			require.NoError(t, stream.Send(&Ydb_Coordination.SessionRequest{
				Request: &Ydb_Coordination.SessionRequest_SessionStart_{SessionStart: &Ydb_Coordination.SessionRequest_SessionStart{
					Path: "/local/node", TimeoutMillis: 60_000,
				}},
			}))
			all = append(all, stream)
		}
	}
	serial := func() string {
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: ca.Pool(), NextProtos: []string{"h2"}})
		require.NoError(t, err)
		defer conn.Close()

		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	next := ca.Issue(t)
	certtest.Replace(t, cert, next.Cert)
	certtest.Replace(t, key, next.Key)
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	require.Eventually(t, func() bool { return serial() != before }, soon, 10*time.Millisecond)
	for _, stream := range all {
		require.NoError(t, stream.Send(&Ydb_Coordination.SessionRequest{
			Request: &Ydb_Coordination.SessionRequest_SessionStop_{SessionStop: &Ydb_Coordination.SessionRequest_SessionStop{}},
		}))
		for stopped := false; !stopped; {
			m, err := stream.Recv()
			require.NoError(t, err)
			stopped = m.GetSessionStopped() != nil
		}
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, programstest.Wait(t, cmd))
	require.Contains(t, stderr.String(), "read the certificates again")
}

// overSocket returns a client of the server at a Unix socket.
func overSocket(t *testing.T, path string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })

	return conn
}

func TestServe_Socket(t *testing.T) {
	t.Parallel()
	ca, dir := certtest.New(t), t.TempDir()
	cert, key := ca.Issue(t).WriteFiles(t, dir, "server")
	path := filepath.Join(dir, "socket")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	left.SetUnlinkOnClose(false)
	require.NoError(t, left.Close()) // a dead server leaves its socket

	args := []string{"--listen", "127.0.0.1:0", "--memory", "--socket", path, "--tls-cert", cert, "--tls-key", key}
	s := startServing(t, nil, args...)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o660), info.Mode().Perm())
	_, err = endpoints(t, overSocket(t, path))
	require.NoError(t, err, "no TLS over the socket")
	_, err = endpoints(t, dial(t, s.addr, ca))
	require.NoError(t, err)

	code, _, stderr := tenureRun(t, nil, append([]string{"serve"}, args...)...)
	require.Equal(t, cli.ExitFailure, code)
	require.Contains(t, stderr, fmt.Sprintf("tenure: --socket=%q is in use by another program: stop that program, or "+
		"choose another path\n", path))
	_, err = endpoints(t, overSocket(t, path))
	require.NoError(t, err, "the socket of the first server is still there")

	s.stop()
	require.NoFileExists(t, path)
}

// The server knows the user of a process at the socket.
func TestServe_SocketWithTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tokens, path := filepath.Join(dir, "tokens"), filepath.Join(dir, "socket")
	certtest.Replace(t, tokens, fmt.Appendf(nil, "user me peer=uid:%d\ngrant me /local full\n", os.Getuid()))
	s := startServing(t, nil, "--listen", "127.0.0.1:0", "--memory", "--socket", path, "--tokens", tokens)
	_, err := endpoints(t, overSocket(t, path))
	require.NoError(t, err)
	answer, err := Ydb_Discovery_V1.NewDiscoveryServiceClient(overSocket(t, path)).WhoAmI(t.Context(),
		&Ydb_Discovery.WhoAmIRequest{})
	require.NoError(t, err)
	var result Ydb_Discovery.WhoAmIResult
	require.NoError(t, answer.GetOperation().GetResult().UnmarshalTo(&result))
	require.Equal(t, "me", result.GetUser())

	conn, err := grpc.NewClient(s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	_, err = endpoints(t, conn)
	require.ErrorContains(t, err, "Access denied without user token")
}
