package tenure_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/nocontext"
	"tenure/tenuretest"
)

// A nil context is an error of the call. Neither the session nor the process suffers from it.
func TestNoContext(t *testing.T) {
	srv := tenuretest.NewServer(t)
	client := open(t, srv)
	s := session(t, client, nil)
	var none context.Context

	for op, call := range map[string]func() error{
		"Open": func() error {
			_, err := tenure.Open(none, srv.DSN())

			return err
		},
		"Open embedded": func() error {
			_, err := tenure.Open(none, tenure.Embedded, tenure.WithDir(t.TempDir()))

			return err
		},
		"Session": func() error {
			_, err := client.Session(none, path)

			return err
		},
		"CreateNode": func() error { return client.CreateNode(none, path, coordination.NodeConfig{}) },
		"AlterNode":  func() error { return client.AlterNode(none, path, coordination.NodeConfig{}) },
		"DropNode":   func() error { return client.DropNode(none, path) },
		"DescribeNode": func() error {
			_, _, err := client.DescribeNode(none, path)

			return err
		},
		"CreateSemaphore": func() error { return s.CreateSemaphore(none, "x", 1) },
		"UpdateSemaphore": func() error { return s.UpdateSemaphore(none, "x") },
		"DeleteSemaphore": func() error { return s.DeleteSemaphore(none, "x") },
		"DescribeSemaphore": func() error {
			_, err := s.DescribeSemaphore(none, "x")

			return err
		},
		"AcquireSemaphore": func() error {
			_, err := s.AcquireSemaphore(none, "x", 1, options.WithEphemeral(true))

			return err
		},
	} {
		require.ErrorIs(t, call(), nocontext.Err, op)
	}
	for _, err := range s.WatchSemaphore(none, "x") {
		require.ErrorIs(t, err, nocontext.Err)
	}
}

// With a nil context, what is to end ends as with a context that has ended.
func TestNoContext_Ends(t *testing.T) {
	srv := tenuretest.NewServer(t)
	client := open(t, srv)
	s := session(t, client, nil)
	var none context.Context

	lease, err := s.AcquireSemaphore(t.Context(), "x", 1, options.WithEphemeral(true))
	require.NoError(t, err)
	_, err = lease.(*tenure.Lease).Token(none)
	require.ErrorIs(t, err, nocontext.Err)
	mayReport(t, lease.(*tenure.Lease).ReleaseContext(none))
	require.ErrorIs(t, context.Cause(lease.Context()), tenure.ErrLeaseReleased)

	again, err := s.AcquireSemaphore(t.Context(), "x", 1, options.WithEphemeral(true))
	require.NoError(t, err, "the session works as before")
	mayReport(t, s.Close(none))
	require.ErrorIs(t, context.Cause(again.Context()), tenure.ErrSessionClosed)

	other := session(t, client, nil)
	mayReport(t, client.Close(none))
	require.ErrorIs(t, context.Cause(other.Context()), tenure.ErrSessionClosed)
	_, err = client.Session(t.Context(), path)
	require.ErrorIs(t, err, tenure.ErrClientClosed)
	require.ErrorIs(t, client.DropNode(t.Context(), path), tenure.ErrClientClosed)
}

// mayReport checks the error of a call that ends something. It is nil if the server has answered quickly.
func mayReport(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		require.ErrorIs(t, err, nocontext.Err)
	}
}
