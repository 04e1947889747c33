package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk-auth-environ"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"golang.org/x/crypto/bcrypt"

	"tenure/internal/access"
	"tenure/internal/certs/certtest"
)

// A secure server serves over TLS and knows its users. Each of them can be identified in one way only, and may use the
// node of the tests.
type secure struct {
	*server

	authority  *certtest.Authority
	ca         string // file with the authority
	token      string // of the user token
	tokenFile  string // with that token
	cert, key  string // files of the user cert
	password   string // of the user password
	tokensFile string
}

func newSecure(s *stage) *secure {
	s.t.Helper()
	password, err := bcrypt.GenerateFromPassword([]byte("sesame"), 10) // the lowest that the server accepts
	require.NoError(s.t, err)
	authority := certtest.New(s.t)
	token, hash := access.NewToken()
	secure := &secure{
		server:    &server{stage: s, listen: freeAddress(s.t), data: filepath.Join(s.dir, "data")},
		authority: authority, ca: authority.WriteFile(s.t, s.dir, "ca.pem"),
		token: token, tokenFile: filepath.Join(s.dir, "token"), password: "sesame",
		tokensFile: filepath.Join(s.dir, "tokens"),
	}
	certtest.Replace(s.t, secure.tokenFile, []byte(token+"\n"))
	secure.cert, secure.key = authority.Issue(s.t, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "client.example"}
	}).WriteFiles(s.t, s.dir, "client")
	certtest.Replace(s.t, secure.tokensFile, fmt.Appendf(nil, `user token    token=%s groups=crew
user password password=%s groups=crew
user cert     cert=CN:client.example groups=crew
grant crew %s use create
`, hash, password, node))
	cert, key := authority.Issue(s.t).WriteFiles(s.t, s.dir, "server")
	secure.begin("--tls-cert", cert, "--tls-key", key, "--tls-client-ca", secure.ca, "--tokens", secure.tokensFile)

	return secure
}

func (s *secure) dsn() string { return "grpcs://" + s.listen + "/local" }

// lock returns the arguments of a lock that runs the script.
func (s *secure) lock(script string, flags ...string) []string {
	args := append([]string{"--ydb", s.dsn(), "--path", node}, flags...)

	return append(args, "lock", "--", "sh", "-c", script)
}

// identities are the ways in which a command can show who it is, and whom it trusts.
func (s *secure) identities() map[string]struct{ flags, env []string } {
	ca := []string{"--ca-file", s.ca}

	return map[string]struct{ flags, env []string }{
		"token in a file":     {append(ca, "--auth-token-file", s.tokenFile), nil},
		"token in a variable": {ca, []string{"YDB_ACCESS_TOKEN_CREDENTIALS=" + s.token}},
		"certificate":         {append(ca, "--cert-file", s.cert, "--key-file", s.key), nil},
		"user and password": {
			nil, []string{
				"YDB_STATIC_CREDENTIALS_USER=password", "YDB_STATIC_CREDENTIALS_PASSWORD=" + s.password,
				"YDB_SSL_ROOT_CERTIFICATES_FILE=" + s.ca,
			},
		},
	}
}

// Each kind of identity lets lock run COMMAND. If lock is killed, its guard ends the session with the same identity,
// long before the timeout of the session.
func TestSecure_LockAndItsGuard(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newSecure(s)
	for name, id := range srv.identities() {
		name = strings.ReplaceAll(name, " ", "-")
		ran := filepath.Join(s.dir, name)
		killed := s.startWith(id.env, name+"-killed", "lock",
			srv.lock(fmt.Sprintf("echo started >%s; exec sleep 1000", ran), append(id.flags, "--timeout", "10m")...)...)
		requireFile(t, ran, "started\n")
		killed.kill()
		s.startWith(id.env, name+"-next", "lock", srv.lock(begin+finish, id.flags...)...).ends()
	}
	s.requireGrowth(len(srv.identities()))
}

// A caller whom the server does not know, or a server that the caller does not trust, ends the command with one line
// that says what to do. If the machine is busy, a line about the wait for the server may come before it.
func TestSecure_Refusals(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newSecure(s)
	stranger := certtest.New(t).WriteFile(t, s.dir, "stranger.pem")
	wrong, _ := access.NewToken()
	const untrusted = "is not signed by an authority that this machine trusts"
	for i, c := range []struct {
		env, flags []string
		want       string
	}{
		{nil, []string{"--ca-file", srv.ca}, "Access denied without user token"},
		{nil, []string{"--ca-file", stranger, "--auth-token-file", srv.tokenFile}, untrusted},
		{nil, []string{"--auth-token-file", srv.tokenFile}, untrusted},
		{
			[]string{"YDB_ACCESS_TOKEN_CREDENTIALS=" + wrong},
			[]string{"--ca-file", srv.ca},
			"Could not find correct token validator",
		},
		{
			[]string{"YDB_STATIC_CREDENTIALS_USER=password", "YDB_STATIC_CREDENTIALS_PASSWORD=x"},
			[]string{"--ca-file", srv.ca},
			"Invalid user or password",
		},
	} {
		name := fmt.Sprint("refused-", i)
		p := s.startWith(c.env, name, "lock", srv.lock("exit 7", append(c.flags, "--connect-timeout", "1m")...)...)
		require.Equal(t, 125, p.code(), name)
		lines := slices.DeleteFunc(s.said(name), func(line string) bool { return waits.MatchString(line + "\n") })
		require.Len(t, lines, 1, name)
		require.Contains(t, lines[0], c.want, name)
	}
}

// Behind a proxy that terminates TLS, --advertise names the proxy to clients, which stay there.
func TestSecure_Proxy(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	authority := certtest.New(t)
	ca := authority.WriteFile(t, s.dir, "ca.pem")
	srv := &server{stage: s, listen: freeAddress(t), data: filepath.Join(s.dir, "data")}
	lis, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{authority.Issue(t).TLS(t)}, NextProtos: []string{"h2"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { lis.Close() })
	go proxy(lis, srv.listen) // ends when the listener is closed
	port := lis.Addr().(*net.TCPAddr).Port
	srv.begin("--advertise", fmt.Sprintf("grpcs://localhost:%d", port))
	dsn := fmt.Sprintf("grpcs://127.0.0.1:%d/local", port)
	s.start("proxied", "lock", "--ydb", dsn, "--path", node, "--ca-file", ca, "lock", "--",
		"sh", "-c", begin+finish).ends()
	s.requireGrowth(1)
}

// proxy passes connections to the server on.
func proxy(lis net.Listener, server string) {
	for {
		client, err := lis.Accept()
		if err != nil {
			return
		}
		go func() {
			defer client.Close()
			conn, err := net.Dial("tcp", server)
			if err != nil {
				return
			}
			defer conn.Close()
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, client)
			}()
			_, _ = io.Copy(client, conn)
		}()
	}
}

// A program that uses ydb-go-sdk alone connects with the variables that the SDK knows.
func TestSecure_SDK(t *testing.T) {
	s := newStage(t)
	srv := newSecure(s)
	t.Setenv("YDB_SSL_ROOT_CERTIFICATES_FILE", srv.ca)
	t.Setenv("YDB_ACCESS_TOKEN_CREDENTIALS", srv.token)
	s.startWith([]string{"YDB_ACCESS_TOKEN_CREDENTIALS=" + srv.token}, "first", "lock",
		srv.lock(begin+finish, "--ca-file", srv.ca)...).ends() // creates the node
	db, err := ydb.Open(t.Context(), srv.dsn(), environ.WithEnvironCredentials())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(t.Context())) }()
	session, err := db.Coordination().Session(t.Context(), node, options.WithSessionTimeout(time.Minute))
	require.NoError(t, err)
	lease, err := session.AcquireSemaphore(t.Context(), "lock", 1, options.WithEphemeral(true))
	require.NoError(t, err)
	require.NoError(t, lease.Release())
	require.NoError(t, session.Close(t.Context()))
}
