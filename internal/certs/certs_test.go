package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/bubbletest"
	"tenure/internal/certs"
	"tenure/internal/certs/certtest"
	"tenure/internal/clock"
	"tenure/internal/filewatch"
)

// config returns the settings for a pair in a directory of its own.
func config(t *testing.T, pair certtest.Pair) certs.Config {
	t.Helper()
	cert, key := pair.WriteFiles(t, t.TempDir(), "server")

	return certs.Config{
		Cert: certs.File{Setting: "--tls-cert", Path: cert}, Key: certs.File{Setting: "--tls-key", Path: key},
		Logger: slog.New(slog.DiscardHandler),
	}
}

// handshake connects to a server with the config, and returns the serial number of the server's certificate.
func handshake(t *testing.T, server, client *tls.Config) (serial string, err error) {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	served := make(chan error, 1)
	go func() {
		defer there.Close()
		conn := tls.Server(there, server)
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte("x"))
		}
		served <- err
	}()
	conn := tls.Client(here, client)
	_, err = conn.Read(make([]byte, 1)) // in TLS 1.3 a server refuses a certificate after the client's handshake
	here.Close()
	if failed := <-served; err == nil {
		err = failed
	}
	if err != nil {
		return "", err
	}
	state := conn.ConnectionState()
	require.Equal(t, "h2", state.NegotiatedProtocol)

	return state.PeerCertificates[0].SerialNumber.String(), nil
}

func client(ca *certtest.Authority, pairs ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", Certificates: pairs, NextProtos: []string{"h2"}}
}

func TestLoad_Refuses(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	good := ca.Issue(t)
	issued := func(change func(c *x509.Certificate)) func(*testing.T, *certs.Config) {
		return func(t *testing.T, c *certs.Config) {
			t.Helper()
			pair := ca.Issue(t, change)
			certtest.Replace(t, c.Cert.Path, pair.Cert)
			certtest.Replace(t, c.Key.Path, pair.Key)
		}
	}
	cert := func(text []byte) func(*testing.T, *certs.Config) {
		return func(t *testing.T, c *certs.Config) { t.Helper(); certtest.Replace(t, c.Cert.Path, text) }
	}
	key := func(text []byte) func(*testing.T, *certs.Config) {
		return func(t *testing.T, c *certs.Config) { t.Helper(); certtest.Replace(t, c.Key.Path, text) }
	}
	authority := func(text []byte) func(*testing.T, *certs.Config) {
		return func(t *testing.T, c *certs.Config) {
			t.Helper()
			c.ClientCA = certs.File{Setting: "--tls-client-ca", Path: filepath.Join(filepath.Dir(c.Cert.Path), "ca.pem")}
			certtest.Replace(t, c.ClientCA.Path, text)
		}
	}
	day := 24 * time.Hour
	for _, test := range []struct {
		name    string
		prepare func(*testing.T, *certs.Config)
		want    string // CERT, KEY and CA stand for the settings
	}{
		{"no file", func(_ *testing.T, c *certs.Config) { c.Cert.Path += ".gone" }, "CERT does not exist: check the path"},
		{
			"directory", func(_ *testing.T, c *certs.Config) { c.Key.Path = filepath.Dir(c.Key.Path) },
			"--tls-key: KEYFILE is not a regular file: name a file",
		},
		{
			"others can read the key", func(t *testing.T, c *certs.Config) {
				t.Helper()
				require.NoError(t, os.Chmod(c.Key.Path, 0o604))
			}, "--tls-key: other users can use KEYFILE (mode 0604): run chmod go-rwx KEYFILE",
		},
		{
			"the group can change the key", func(t *testing.T, c *certs.Config) {
				t.Helper()
				require.NoError(t, os.Chmod(c.Key.Path, 0o660))
			}, "--tls-key: other users can use KEYFILE (mode 0660): run chmod go-rwx KEYFILE",
		},
		{
			"others can read the target of a link", func(t *testing.T, c *certs.Config) {
				t.Helper()
				require.NoError(t, os.Chmod(c.Key.Path, 0o644))
				require.NoError(t, os.Rename(c.Key.Path, c.Key.Path+".target"))
				require.NoError(t, os.Symlink(c.Key.Path+".target", c.Key.Path))
			}, "--tls-key: other users can use KEYFILE (mode 0644): run chmod go-rwx KEYFILE",
		},
		{
			"expired", issued(func(c *x509.Certificate) { c.NotAfter = time.Date(2025, 1, 2, 3, 4, 0, 0, time.UTC) }),
			"CERT expired on 2025-01-02 03:04 UTC: get a new certificate",
		},
		{
			"not yet valid", issued(func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = time.Date(2225, 1, 2, 3, 4, 0, 0, time.UTC), certtest.Now.Add(1e5*day)
			}), "CERT is not valid before 2225-01-02 03:04 UTC: wait, or check the clock of this machine",
		},
		{
			"for clients", issued(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
			"CERT is not a certificate for servers: get one with the extended key usage serverAuth",
		},
		{
			"without a name", issued(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }),
			"CERT names no host, so clients refuse it: get one with the server's name as subject alternative name",
		},
		{
			"key of another certificate", key(ca.Issue(t).Key), "KEY is not the key of the certificate in CERT: name a " +
				"key and a certificate that belong together; the certificate of the key must be the first in its file",
		},
		{"empty certificate", cert(nil), "CERT is empty: name a file with a certificate in PEM form"},
		{"empty key", key([]byte("\n")), "KEY is empty: name a file with a private key in PEM form"},
		{
			"no PEM", cert([]byte{0x30, 0x82}),
			"CERT has no certificate in PEM form: convert it, for example with openssl x509 -inform der",
		},
		{"key without PEM", key([]byte{0x30, 0x82}), "KEY has no private key in PEM form: convert it, for example with " +
			"openssl pkey -inform der"},
		{
			"exchanged", func(_ *testing.T, c *certs.Config) { c.Cert.Path, c.Key.Path = c.Key.Path, c.Cert.Path },
			`CERT has no certificate, but a block "PRIVATE KEY": name the file with the certificate` + "\n" +
				`KEY has no private key, but a block "CERTIFICATE": name the file with the key`,
		},
		{
			"encrypted key", key([]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n")),
			"KEY is encrypted: remove the password, for example with openssl pkey",
		},
		{
			"damaged key", key([]byte("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n")),
			"KEY cannot be used (failed to parse private key): name a private key in PEM form",
		},
		{
			"damaged certificate", cert([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")),
			"CERT has a damaged certificate (malformed tbs certificate): get a new copy of the file",
		},
		{"empty authorities", authority(nil), "CA is empty: name a file with a certificate in PEM form"},
		{
			"authorities without PEM", authority([]byte("x")),
			"CA has no certificate in PEM form: convert it, for example with openssl x509 -inform der",
		},
		{
			"expired authority", authority(ca.Issue(t, func(c *x509.Certificate) {
				c.NotAfter = time.Date(2025, 1, 2, 3, 4, 0, 0, time.UTC)
			}).Cert), "CA expired on 2025-01-02 03:04 UTC: get a new certificate",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := config(t, good)
			test.prepare(t, &c)
			_, err := certs.Load(c)
			require.Error(t, err)
			got := err.Error()
			for name, f := range map[string]certs.File{"CERT": c.Cert, "KEY": c.Key, "CA": c.ClientCA} {
				got = strings.ReplaceAll(got, fmt.Sprintf("%s=%q", f.Setting, f.Path), name)
			}
			got = strings.ReplaceAll(got, c.Key.Path, "KEYFILE")
			require.Equal(t, test.want, got)
		})
	}
}

func TestServer_ReloadsForNewConnections(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	c := config(t, ca.Issue(t))
	var log buffer
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s, err := certs.Load(c)
	require.NoError(t, err)
	secure := s.TLS()
	before, err := handshake(t, secure, client(ca))
	require.NoError(t, err)

	next := ca.Issue(t)
	certtest.Replace(t, c.Cert.Path, next.Cert)
	require.ErrorContains(t, s.Reload(), "is not the key of the certificate")
	require.Contains(t, log.take(), "keeping those in use")
	kept, err := handshake(t, secure, client(ca))
	require.NoError(t, err)
	require.Equal(t, before, kept)

	certtest.Replace(t, c.Key.Path, next.Key)
	require.NoError(t, s.Reload())
	after, err := handshake(t, secure, client(ca))
	require.NoError(t, err)
	require.NotEqual(t, before, after)
}

func TestServer_ClientCertificates(t *testing.T) {
	t.Parallel()
	ca, stranger := certtest.New(t), certtest.New(t)
	mine, theirs := ca.Issue(t).TLS(t), stranger.Issue(t).TLS(t)
	for _, optional := range []bool{false, true} {
		t.Run(fmt.Sprint("optional ", optional), func(t *testing.T) {
			t.Parallel()
			c := config(t, ca.Issue(t))
			c.ClientOptional = optional
			c.ClientCA = certs.File{Setting: "--tls-client-ca", Path: ca.WriteFile(t, t.TempDir(), "ca.pem")}
			s, err := certs.Load(c)
			require.NoError(t, err)
			_, err = handshake(t, s.TLS(), client(ca, mine))
			require.NoError(t, err)
			_, err = handshake(t, s.TLS(), client(ca, theirs))
			require.Error(t, err, "another authority")
			_, err = handshake(t, s.TLS(), client(ca))
			require.Equal(t, optional, err == nil, "no certificate: %v", err)

			certtest.Replace(t, c.ClientCA.Path, stranger.PEM)
			require.NoError(t, s.Reload())
			_, err = handshake(t, s.TLS(), client(ca, mine))
			require.Error(t, err, "the authority was removed")
			_, err = handshake(t, s.TLS(), client(ca, theirs))
			require.NoError(t, err)
		})
	}
}

// A bad file is reported once, and an expiry once a day.
func TestServer_Watch(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	bubbletest.Test(t, func(t *testing.T) {
		clk := clock.Go()
		pass := func(d time.Duration) {
			clock.Pause(t.Context(), clk, d)
			synctest.Wait()
		}
		start := clk.Time(clk.Now()) // a bubble begins in the year 2000
		expiring := func(left time.Duration) certtest.Pair {
			return ca.Issue(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = start, start.Add(left) })
		}
		const day = 24 * time.Hour
		c := config(t, expiring(14*day+day/2))
		var log buffer
		logged := func(text string) int { return strings.Count(log.take(), text) }
		c.Clock, c.Logger = clk, slog.New(slog.NewTextHandler(&log, nil))
		s, err := certs.Load(c)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Watch(ctx)
		}()

		pass(time.Minute)
		require.Empty(t, log.take())
		certtest.Replace(t, c.Cert.Path, nil)
		pass(10 * filewatch.Interval)
		require.Equal(t, 1, logged("keeping those in use"))
		pass(day)
		require.Equal(t, 1, logged("the certificate expires soon"))

		pair := expiring(day + day/2)
		certtest.Replace(t, c.Cert.Path, pair.Cert)
		certtest.Replace(t, c.Key.Path, pair.Key)
		pass(2 * filewatch.Interval)
		text := log.take()
		require.Contains(t, text, "read the certificates again")
		require.Contains(t, text, "the certificate expires soon")
		pass(day)
		require.Equal(t, 1, logged("the certificate has expired"))
		cancel()
		<-done
	})
}

// A buffer keeps what is written to it until it is taken.
type buffer struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)

	return len(p), nil
}

func (b *buffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := string(b.text)
	b.text = nil

	return text
}
