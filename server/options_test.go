package server_test

import (
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

	srv, err := server.New(nil, server.WithLogger(nil))
	require.NoError(t, err)
	require.NoError(t, srv.Stop(t.Context()))
}
