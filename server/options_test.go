package server_test

import (
	"context"
	"crypto/tls"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/nocontext"
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

// A nil context, a nil listener and a negative lifetime are mistakes that the server reports. It stops nevertheless.
func TestServer_WrongArguments(t *testing.T) {
	t.Parallel()
	_, err := server.New(server.WithTokenLifetime(-time.Second))
	require.EqualError(t, err, "server: WithTokenLifetime: -1s is negative: set a positive lifetime, or 0 for the default")

	dir := filepath.Join(t.TempDir(), "data")
	srv, err := server.New(server.WithDataDir(dir))
	require.NoError(t, err)
	require.EqualError(t, srv.Serve(nil), "server: Serve: the listener is nil")
	var none context.Context
	_, err = srv.Status(none)
	require.ErrorIs(t, err, nocontext.Err)
	_, err = srv.StatusInMemory(none)
	require.ErrorIs(t, err, nocontext.Err)
	require.NoError(t, srv.Stop(none))

	again, err := server.New(server.WithDataDir(dir))
	require.NoError(t, err, "the store is closed")
	require.NoError(t, again.Stop(t.Context()))
}
