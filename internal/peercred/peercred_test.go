package peercred_test

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/credentials"

	"tenure/internal/certs/certtest"
	"tenure/internal/conns"
	"tenure/internal/peercred"
)

// handshake returns what the ends of a new connection know about each other.
func handshake(
	t *testing.T, network, address string, server, client credentials.TransportCredentials,
) (ofServer, ofClient credentials.AuthInfo) {
	t.Helper()
	lis, err := net.Listen(network, address)
	require.NoError(t, err)
	defer lis.Close()
	done := make(chan error, 1)
	go func() {
		var set conns.Set
		conn, err := set.Listener(lis).Accept() // as in the server
		if err != nil {
			done <- err

			return
		}
		defer conn.Close()
		_, ofServer, err = server.ServerHandshake(conn)
		done <- err
	}()
	conn, err := net.Dial(network, lis.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, ofClient, err = client.ClientHandshake(t.Context(), "localhost", conn)
	require.NoError(t, err)
	require.NoError(t, <-done)

	return ofServer, ofClient
}

func TestNew_UnixSocket(t *testing.T) {
	t.Parallel()
	if !peercred.Supported {
		t.Skip("the system does not tell the user id of a peer")
	}
	secure := &tls.Config{} // is not used
	path := filepath.Join(t.TempDir(), "socket")
	ofServer, ofClient := handshake(t, "unix", path, peercred.New(secure), peercred.New(nil))
	for _, info := range []credentials.AuthInfo{ofServer, ofClient} {
		require.Equal(t, uint32(os.Getuid()), info.(peercred.Info).UID)
		require.Equal(t, credentials.PrivacyAndIntegrity, info.(peercred.Info).SecurityLevel)
	}
}

func TestNew_Network(t *testing.T) {
	t.Parallel()
	ofServer, ofClient := handshake(t, "tcp", "127.0.0.1:0", peercred.New(nil), peercred.New(nil))
	require.Equal(t, "insecure", ofServer.AuthType())
	require.Equal(t, "insecure", ofClient.AuthType())

	ca := certtest.New(t)
	server := &tls.Config{
		Certificates: []tls.Certificate{ca.Issue(t).TLS(t)}, ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert,
	}
	client := &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{ca.Issue(t).TLS(t)}}
	ofServer, ofClient = handshake(t, "tcp", "127.0.0.1:0", peercred.New(server), peercred.New(client))
	require.Equal(t, "test", ofServer.(credentials.TLSInfo).State.VerifiedChains[0][0].Subject.CommonName)
	require.IsType(t, credentials.TLSInfo{}, ofClient)
}

func TestUID_OfAnotherNetwork(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	_, err := peercred.UID(a)
	require.EqualError(t, err, "the connection from pipe is not over a Unix socket")
}
