package dsn_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Discovery_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Discovery"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"tenure/internal/certs/certtest"
	"tenure/internal/dsn"
	"tenure/internal/relaytest"
	"tenure/tenuretest"
)

func TestMain(m *testing.M) {
	_, _ = x509.SystemCertPool() // the SDK loads it, which takes seconds under the race detector
	goleak.VerifyTestMain(m)
}

// open opens a driver for a DSN in which HOST stands for the server's address.
func open(t *testing.T, text, host string, limit time.Duration, opts ...dsn.Option) (*ydb.Driver, error) {
	t.Helper()
	a, err := dsn.Parse("--ydb", strings.ReplaceAll(text, "HOST", host))
	require.NoError(t, err)

	return dsn.Open(t.Context(), a, limit, opts...)
}

// listen calls serve for each connection to the address that it returns.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = lis.Close() })
	go func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()

	return lis.Addr().String()
}

// says returns a server that begins each connection with the text, and leaves it open until the test ends.
func says(t *testing.T, text string) string {
	t.Helper()

	return listen(t, func(conn net.Conn) {
		defer conn.Close()
		_, _ = conn.Write([]byte(text))
		<-t.Context().Done()
	})
}

// web returns an HTTP server, with or without TLS and HTTP/2.
func web(t *testing.T, secure, http2 bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = nil
	s.EnableHTTP2 = http2
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)

	return s
}

// discovery is a server whose ListEndpoints gives one answer; nil: it has no such service.
type discovery struct {
	Ydb_Discovery_V1.UnimplementedDiscoveryServiceServer

	answer func() (*Ydb_Discovery.ListEndpointsResponse, error)
}

func (d *discovery) ListEndpoints(
	context.Context, *Ydb_Discovery.ListEndpointsRequest,
) (*Ydb_Discovery.ListEndpointsResponse, error) {
	return d.answer()
}

func serveGRPC(t *testing.T, d *discovery, opts ...grpc.ServerOption) string {
	t.Helper()
	s := grpc.NewServer(opts...)
	if d != nil {
		Ydb_Discovery_V1.RegisterDiscoveryServiceServer(s, d)
	}
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = s.Serve(lis) }()
	t.Cleanup(s.Stop)

	return lis.Addr().String()
}

func answers(code Ydb.StatusIds_StatusCode, text string) *discovery {
	return &discovery{answer: func() (*Ydb_Discovery.ListEndpointsResponse, error) {
		return &Ydb_Discovery.ListEndpointsResponse{Operation: &Ydb_Operations.Operation{
			Ready: true, Status: code, Issues: []*Ydb_Issue.IssueMessage{{Message: text, Severity: 1}},
		}}, nil
	}}
}

// certificate returns the server's half of TLS.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()

	return web(t, true, false).TLS.Certificates[0]
}

// Each wrong server has an error that names what is wrong, and comes as soon as that can be known. HOST is the server.
func TestOpen_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	const other = "the server at HOST is not a YDB or tenure server "
	for name, test := range map[string]struct {
		server func(*testing.T) string
		dsn    string // grpc://HOST/local if it is empty
		want   string
	}{
		"nothing listens": {
			server: func(t *testing.T) string {
				t.Helper()

				return relaytest.FreeAddress(t)
			},
			want: `no server at HOST (connection refused): start one with "tenure serve", or check --ydb`,
		},
		"an unknown host": {
			server: func(*testing.T) string { return "no-such-host.invalid:2136" },
			want:   "no server at HOST (no such host): check the host name in --ydb",
		},
		"an HTTP server": {
			server: func(t *testing.T) string {
				t.Helper()

				return web(t, false, false).Listener.Addr().String()
			},
			want: other + "(an HTTP server answers): check the port in --ydb",
		},
		"an HTTP server, asked for TLS": {
			server: func(t *testing.T) string {
				t.Helper()

				return web(t, false, false).Listener.Addr().String()
			},
			dsn: "grpcs://HOST/local", want: other + "(an HTTP server answers): check the port in --ydb",
		},
		"an HTTPS server": {
			server: func(t *testing.T) string {
				t.Helper()

				return web(t, true, false).Listener.Addr().String()
			},
			dsn: "grpcs://HOST/local", want: other + "(an HTTPS server answers): check the port in --ydb",
		},
		"an SSH server": {
			server: func(t *testing.T) string {
				t.Helper()

				return says(t, "SSH-2.0-OpenSSH_9.6\r\n")
			},
			want: other + "(an SSH server answers): check the port in --ydb",
		},
		"an SSH server, asked for TLS": {
			server: func(t *testing.T) string {
				t.Helper()

				return says(t, "SSH-2.0-OpenSSH_9.6\r\n")
			},
			dsn: "grpcs://HOST/local", want: other + "(an SSH server answers): check the port in --ydb",
		},
		"a mail server": {
			server: func(t *testing.T) string {
				t.Helper()

				return says(t, "220 mail.example ESMTP\r\n")
			},
			want: other + "(it does not answer by HTTP/2): check the port in --ydb",
		},
		"a server that closes connections": {
			server: func(t *testing.T) string {
				t.Helper()

				return listen(t, func(c net.Conn) { _ = c.Close() })
			},
			want: "the server at HOST closes the connection without an answer: check the port in --ydb",
		},
		"TLS where the server has none": {
			server: func(t *testing.T) string {
				t.Helper()

				return serveGRPC(t, nil)
			},
			dsn:  "grpcs://HOST/local",
			want: "the server at HOST does not use TLS: write grpc:// instead of grpcs:// in --ydb",
		},
		"no TLS where the server requires it": {
			server: func(t *testing.T) string {
				t.Helper()
				cert := certificate(t)

				return serveGRPC(t, nil, grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
			},
			want: "the server at HOST requires TLS: write grpcs:// instead of grpc:// in --ydb",
		},
		"a certificate of an unknown authority": {
			server: func(t *testing.T) string {
				t.Helper()
				cert := certificate(t)

				return serveGRPC(t, nil, grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
			},
			dsn: "grpcs://HOST/local",
			want: "the certificate of the server at HOST is not signed by an authority that this machine trusts: set " +
				"YDB_SSL_ROOT_CERTIFICATES_FILE or ydb.WithCertificatesFromFile to the certificate of its authority",
		},
		"another gRPC server": {
			server: func(t *testing.T) string {
				t.Helper()

				return serveGRPC(t, nil)
			},
			want: other + "(unknown service Ydb.Discovery.V1.DiscoveryService): check the port in --ydb",
		},
		"an unknown database": {
			server: tenureServer, dsn: "grpc://HOST/other",
			want: `the server at HOST has no database "/other" (NOT_FOUND (database "/other" is not served here: ` +
				`use "/local")): check the database in --ydb`,
		},
		"a user where there are none": {
			server: tenureServer, dsn: "grpc://alice:secret@HOST/local",
			want: "the server at HOST has no users (UNSUPPORTED (this server has no users: leave out user and password, " +
				"or start it with --tokens FILE)): remove the user name and the password from --ydb",
		},
		"refused credentials": {
			server: func(t *testing.T) string {
				t.Helper()
				return serveGRPC(t, answers(Ydb.StatusIds_UNAUTHORIZED, "Access denied"))
			},
			want: "the server at HOST refuses the credentials: UNAUTHORIZED (Access denied): check the credentials, " +
				"their rights and the path",
		},
		"missing credentials": {
			server: func(t *testing.T) string {
				t.Helper()
				return serveGRPC(t, &discovery{answer: func() (*Ydb_Discovery.ListEndpointsResponse, error) {
					return nil, status.Error(codes.Unauthenticated, "Access without user token is not allowed")
				}})
			},
			want: "the server at HOST refuses the credentials (Access without user token is not allowed): check " +
				"ydb.WithAccessTokenCredentials or ydb.WithStaticCredentials",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := test.server(t)
			if test.dsn == "" {
				test.dsn = "grpc://HOST/local"
			}
			began := time.Now()
			_, err := open(t, test.dsn, host, 2*time.Minute)
			require.EqualError(t, err, strings.ReplaceAll(test.want, "HOST", host))
			require.Less(t, time.Since(began), time.Minute)
		})
	}
}

func tenureServer(t *testing.T) string {
	t.Helper()
	host, _, _ := strings.Cut(strings.TrimPrefix(tenuretest.NewServer(t).DSN(), "grpc://"), "/")

	return host
}

// A server that does not answer is given the time that there is, and the error says what it did.
func TestOpen_Limit(t *testing.T) {
	t.Parallel()
	silent := says(t, "")
	_, err := open(t, "grpc://HOST/local", silent, 2*time.Second)
	require.EqualError(t, err, "no answer from "+silent+
		" within 2s: it accepts connections but sends nothing: check that the server is not stopped or "+
		"overloaded, and the port in --ydb")
	_, err = open(t, "grpcs://HOST/local", silent, 2*time.Second)
	require.EqualError(t, err, "no answer from "+silent+
		" within 2s: it accepts connections but sends nothing: check that the server is not stopped or "+
		"overloaded, and the port in --ydb")

	busy := serveGRPC(t, answers(Ydb.StatusIds_UNAVAILABLE, "Database nodes resolve failed"))
	_, err = open(t, "grpc://HOST/local", busy, 2*time.Second)
	require.EqualError(t, err, "no answer from "+busy+" within 2s: the last attempt failed with "+
		"UNAVAILABLE (Database nodes resolve failed): check --ydb")

	hangs := serveGRPC(t, &discovery{answer: func() (*Ydb_Discovery.ListEndpointsResponse, error) {
		<-t.Context().Done()

		return nil, t.Context().Err()
	}})
	_, err = open(t, "grpc://HOST/local", hangs, 300*time.Millisecond)
	require.EqualError(t, err, "no answer from "+hangs+" within 300ms: check --ydb")
}

// The end of the caller's context ends Open, and the reason for the delay is in the error.
func TestOpen_Context(t *testing.T) {
	t.Parallel()
	silent := says(t, "")
	a, err := dsn.Parse("the DSN", "grpc://"+silent+"/local")
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = dsn.Open(ctx, a, -1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualError(t, err, "no answer from "+silent+
		" (context deadline exceeded): it accepts connections but sends nothing: check that the server is not "+
		"stopped or overloaded, and the port in the DSN")

	why := errors.New("interrupted")
	interrupted, interrupt := context.WithCancelCause(t.Context())
	interrupt(why)
	_, err = dsn.Open(interrupted, a, time.Minute)
	require.ErrorIs(t, err, why)
}

// Options take part in the probe: with its authority's certificate, a server is trusted.
func TestOpen_Certificates(t *testing.T) {
	t.Parallel()
	s := web(t, true, true)
	_, err := open(t, "grpcs://HOST/local", s.Listener.Addr().String(), 30*time.Second,
		ydb.WithCertificate(s.Certificate()))
	require.EqualError(t, err, fmt.Sprintf("the server at %s is not a YDB or tenure server (unexpected HTTP status "+
		"code received from server: 404 (Not Found)): check the port in --ydb", s.Listener.Addr()))

	// Only the first step fails with the client's certificate missing, when the handshake is over for the client.
	cert := s.TLS.Certificates[0]
	mutual := serveGRPC(t, nil, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert,
	})))
	_, err = open(t, "grpcs://HOST/local", mutual, 30*time.Second, ydb.WithCertificate(s.Certificate()))
	require.EqualError(t, err, "the server at "+mutual+" requires a client certificate: set ydb.WithTLSConfig")
}

// The error names what is wrong with a certificate, and what the user of a command can set.
func TestOpen_ExplainsCertificates(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	serve := func(pair certtest.Pair) string {
		return serveGRPC(t, answers(Ydb.StatusIds_UNAVAILABLE, ""), grpc.Creds(credentials.NewTLS(&tls.Config{
			Certificates: []tls.Certificate{pair.TLS(t)}, ClientCAs: ca.Pool(), ClientAuth: tls.VerifyClientCertIfGiven,
		})))
	}
	explain := func(host string, config *tls.Config) string {
		a, err := dsn.Parse("--ydb", "grpcs://"+host+"/local")
		require.NoError(t, err)
		hints := dsn.Hints{CA: "--ca-file", Cert: "--cert-file"}
		_, err = dsn.Open(t.Context(), a.WithHints(hints), 5*time.Second, ydb.WithTLSConfig(config))
		require.Error(t, err)

		return strings.ReplaceAll(err.Error(), host, "HOST")
	}
	trusting := &tls.Config{RootCAs: ca.Pool()}
	require.Equal(t, "the certificate of the server at HOST is not signed by an authority that this machine trusts: set "+
		"--ca-file to the certificate of its authority", explain(serve(ca.Issue(t)),
		&tls.Config{RootCAs: x509.NewCertPool()}))
	named := ca.Issue(t, func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"locks.example", "b.example"}, []net.IP{net.IPv4(10, 0, 0, 1)}
	})
	require.Equal(t, "the certificate of the server at HOST is for locks.example, b.example, 10.0.0.1, and not for "+
		"127.0.0.1: write one of its names in --ydb, or give the server a certificate for this name",
		explain(serve(named), trusting))
	expired := ca.Issue(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Date(2024, 1, 2, 3, 4, 0, 0, time.UTC), time.Date(2025, 1, 2, 3, 4, 0, 0, time.UTC)
	})
	require.Equal(t, "the certificate of the server at HOST is valid only from 2024-01-02 03:04 UTC to 2025-01-02 03:04 "+
		"UTC: ask for a new one, or check the clock of this machine", explain(serve(expired), trusting))
	stranger := certtest.New(t).Issue(t).TLS(t)
	require.Regexp(t, `^the server at HOST refuses the client certificate \([a-z ]+\): check --cert-file$`,
		explain(serve(ca.Issue(t)), &tls.Config{
			RootCAs: ca.Pool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &stranger, nil
			},
		}))
}

func TestOpen(t *testing.T) {
	t.Parallel()
	db, err := open(t, "grpc://HOST/local/", tenureServer(t), 10*time.Second)
	require.NoError(t, err)
	require.Equal(t, "/local", db.Name())
	require.NoError(t, db.Close(context.WithoutCancel(t.Context())))

	_, err = open(t, "grpc://HOST/local", relaytest.FreeAddress(t), 10*time.Second)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}
