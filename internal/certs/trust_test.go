package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/certs"
	"tenure/internal/certs/certtest"
	"tenure/internal/clock"
)

// late is a clock whose date can be set ahead.
type late struct {
	clock.Clock

	ahead atomic.Int64
}

func (l *late) Time(i clock.Instant) time.Time {
	return l.Clock.Time(i).Add(time.Duration(l.ahead.Load()))
}

// accepted connects a client with a certificate, and returns what the server knows of it.
func accepted(t *testing.T, s *certs.Server, ca *certtest.Authority, pair certtest.Pair) tls.ConnectionState {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	conn := tls.Server(there, s.TLS())
	shaken := make(chan error, 1)
	go func() { shaken <- conn.Handshake() }()
	require.NoError(t, tls.Client(here, client(ca, pair.TLS(t))).Handshake())
	require.NoError(t, <-shaken)

	return conn.ConnectionState()
}

// The server no longer trusts a connection whose authority was removed. It does not matter that a certificate has been
// replaced or has expired meanwhile.
func TestServer_Trusts(t *testing.T) {
	t.Parallel()
	ca, one, two := certtest.New(t), certtest.New(t), certtest.New(t)
	clk := &late{Clock: clock.Go()}
	c := config(t, ca.Issue(t))
	c.Clock = clk
	c.ClientCA = certs.File{Setting: "--tls-client-ca", Path: c.Cert.Path + ".clients"}
	authorities := func(all ...*certtest.Authority) {
		var text []byte
		for _, a := range all {
			text = append(text, a.PEM...)
		}
		certtest.Replace(t, c.ClientCA.Path, text)
	}
	authorities(one, two)
	s, err := certs.Load(c)
	require.NoError(t, err)
	require.True(t, s.Trusts(tls.ConnectionState{}), "no certificate")

	brief := one.Issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Minute) })
	ofOne, ofBrief := accepted(t, s, ca, one.Issue(t)), accepted(t, s, ca, brief)
	ofTwo := accepted(t, s, ca, two.Issue(t))
	require.Equal(t, [2]bool{true, true}, [2]bool{s.Trusts(ofOne), s.Trusts(ofTwo)})

	require.NoError(t, os.WriteFile(c.ClientCA.Path, nil, 0o600))
	require.Error(t, s.Reload())
	require.True(t, s.Trusts(ofTwo), "the file has an error")

	authorities(one)
	require.NoError(t, s.Reload())
	require.Equal(t, [2]bool{true, false}, [2]bool{s.Trusts(ofOne), s.Trusts(ofTwo)})
	require.False(t, s.Trusts(ofTwo), "the verdict is remembered")
	clk.ahead.Store(int64(30 * time.Minute))
	require.True(t, s.Trusts(ofBrief), "it has expired")
	clk.ahead.Store(0)

	authorities(two)
	require.NoError(t, s.Reload())
	require.Equal(t, [2]bool{false, true}, [2]bool{s.Trusts(ofOne), s.Trusts(ofTwo)})
}
