package peerkey_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"tenure/internal/certs/certtest"
	"tenure/internal/peerkey"
)

func newKey(t *testing.T, secret string) *peerkey.Key {
	t.Helper()
	k, err := peerkey.New([]byte(secret))
	require.NoError(t, err)

	return k
}

// handshake connects two ends. It returns what each side knows of the other one, or its error.
func handshake(
	t *testing.T, server, client credentials.TransportCredentials,
) (ofClient, ofServer credentials.AuthInfo, failed error) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer lis.Close()
	type result struct {
		info credentials.AuthInfo
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := lis.Accept()
		if err != nil {
			done <- result{err: err}

			return
		}
		defer conn.Close()
		secured, info, err := server.ServerHandshake(conn)
		if err == nil {
			_, err = io.CopyN(secured, secured, 8)
		}
		done <- result{info, err}
	}()
	conn, err := net.Dial("tcp", lis.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	secured, ofServer, err := client.ClientHandshake(t.Context(), "localhost", conn)
	if err == nil {
		echo := make([]byte, 8)
		_, err = secured.Write([]byte("echoecho"))
		if err == nil {
			_, err = io.ReadFull(secured, echo)
		}
		if err == nil && !bytes.Equal(echo, []byte("echoecho")) {
			err = errors.New("the connection changes what is sent")
		}
	}
	conn.Close()
	r := <-done

	return r.info, ofServer, errors.Join(err, r.err)
}

// Servers with the same secret recognise each other, whether or not the port uses TLS for clients. Clients find what
// they find without this package.
func TestServer(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	secure := credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{ca.Issue(t).TLS(t)}})
	trusting := credentials.NewTLS(&tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"})
	key := newKey(t, "the secret")
	for name, tc := range map[string]struct {
		server, client credentials.TransportCredentials
	}{
		"clear text": {insecure.NewCredentials(), insecure.NewCredentials()},
		"TLS":        {secure, trusting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := key.Server(tc.server)
			ofClient, ofServer, err := handshake(t, server, newKey(t, "the secret").Client())
			require.NoError(t, err)
			require.IsType(t, peerkey.Info{}, ofClient)
			require.IsType(t, peerkey.Info{}, ofServer)

			ofClient, _, err = handshake(t, server, tc.client)
			require.NoError(t, err)
			require.NotEqual(t, "tenure", ofClient.AuthType())
		})
	}
}

// Neither side accepts one that has another key.
func TestServer_AnotherKey(t *testing.T) {
	t.Parallel()
	server := newKey(t, "the secret").Server(insecure.NewCredentials())
	_, _, err := handshake(t, server, newKey(t, "another secret").Client())
	require.Error(t, err)

	ca := certtest.New(t)
	_, _, err = handshake(t, server, &liar{credentials.NewTLS(&tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{ca.Issue(t).TLS(t)}, //nolint:gosec // a test
	})})
	require.Error(t, err, "a certificate of somebody else")
	_, _, err = handshake(t, server, &liar{credentials.NewTLS(&tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // a test
	})})
	require.Error(t, err, "no certificate")
	_, _, err = handshake(t, server, &liar{insecure.NewCredentials()})
	require.Error(t, err, "no TLS")
}

// liar says that it is a server.
type liar struct {
	credentials.TransportCredentials
}

func (l *liar) ClientHandshake(
	ctx context.Context, authority string, conn net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	if _, err := io.WriteString(conn, "tenure1\n"); err != nil {
		return nil, nil, err
	}

	return l.TransportCredentials.ClientHandshake(ctx, authority, conn)
}

// Different purposes have different keys, and the same purpose has the same one on all servers.
func TestKey_Derive(t *testing.T) {
	t.Parallel()
	derive := func(secret, purpose string) string {
		b, err := newKey(t, secret).Derive(purpose, 32)
		require.NoError(t, err)
		require.Len(t, b, 32)

		return string(b)
	}
	same := derive("secret", "a")
	require.Equal(t, same, derive("secret", "a"))
	require.NotEqual(t, derive("secret", "a"), derive("secret", "b"))
	require.NotEqual(t, derive("secret", "a"), derive("other", "a"))
}
