package conns_test

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/conns"
)

// pair returns both ends of a new connection.
func pair(t *testing.T, l net.Listener) (client, server net.Conn) {
	t.Helper()
	client, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	server, err = l.Accept()
	require.NoError(t, err)

	return client, server
}

func requireCut(t *testing.T, client net.Conn) {
	t.Helper()
	_, err := client.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

func TestSet(t *testing.T) {
	t.Parallel()
	var set conns.Set
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := set.Listener(inner)
	t.Cleanup(func() { _ = l.Close() })

	first, _ := pair(t, l)
	gone, server := pair(t, l)
	require.NoError(t, server.Close())
	requireCut(t, gone)
	set.Cut()
	requireCut(t, first)

	second, server := pair(t, l) // Cut does not affect later connections
	_, err = server.Write([]byte{1})
	require.NoError(t, err)
	_, err = second.Read(make([]byte, 1))
	require.NoError(t, err)

	set.Shut()
	requireCut(t, second)
	third, _ := pair(t, l)
	requireCut(t, third)
}
