package dsn_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/dsn"
)

// A server that is down, or does not answer, may come back. A wrong name, or another kind of server, needs a person.
func TestTransient(t *testing.T) {
	t.Parallel()
	open := func(text string) error {
		address, err := dsn.Parse("--ydb", text)
		require.NoError(t, err)
		_, err = dsn.Open(t.Context(), address, 300*time.Millisecond)
		require.Error(t, err)

		return err
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { silent.Close() })

	require.True(t, dsn.Transient(open("grpc://127.0.0.1:1/local")), "connection refused")
	require.True(t, dsn.Transient(open("grpc://"+silent.Addr().String()+"/local")), "no answer")
	require.False(t, dsn.Transient(&net.DNSError{IsNotFound: true}))
	require.True(t, dsn.Transient(&net.DNSError{IsTemporary: true}))
	require.False(t, dsn.Transient(errors.New("the server requires TLS")))
}
