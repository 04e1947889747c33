package server_test

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/server"
)

// An empty directory is not taken for "in memory", and a nil option is skipped.
func TestNew_Options(t *testing.T) {
	t.Parallel()
	_, err := server.New(server.WithDataDir(""))
	require.ErrorContains(t, err, "WithDataDir: the directory is empty")

	_, err = server.New(server.WithDatabase(""))
	require.ErrorContains(t, err, `database name ""`)

	_, err = server.New(server.WithAdvertise("example.com"))
	require.EqualError(t, err, `server: WithAdvertise: "example.com" is not an address: write grpc://host:port or `+
		"grpcs://host:port")

	_, err = server.New(server.WithTLS(&tls.Config{}))
	require.ErrorContains(t, err, "WithTLS: the config has no certificate")

	srv, err := server.New(nil, server.WithLogger(nil))
	require.NoError(t, err)
	require.NoError(t, srv.Stop(t.Context()))
}
