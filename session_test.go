package tenure_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/tenuretest"
)

const path = "/local/test"

func open(t *testing.T, srv *tenuretest.Server) *tenure.Client {
	t.Helper()
	c, err := tenure.Open(t.Context(), srv.DSN())
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		require.NoError(t, c.Close(ctx))
	})
	require.NoError(t, c.CreateNode(t.Context(), path, coordination.NodeConfig{}))

	return c
}

func session(t *testing.T, c *tenure.Client, opts ...options.SessionOption) *tenure.Session {
	t.Helper()
	s, err := c.Session(t.Context(), path, opts...)
	require.NoError(t, err)

	return s.(*tenure.Session)
}

func acquire(t *testing.T, s *tenure.Session, name string) *tenure.Lease {
	t.Helper()
	l, err := s.AcquireSemaphore(t.Context(), name, coordination.Exclusive, options.WithEphemeral(true))
	require.NoError(t, err)

	return l.(*tenure.Lease)
}

func TestSession_LeaseOutlivesStreams(t *testing.T) {
	srv := tenuretest.NewServer(t)
	s := session(t, open(t, srv))
	l := acquire(t, s, "job")
	require.True(t, l.Valid())
	token, err := l.Token(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, token)
	before := l.Deadline()
	srv.DropStreams()
	srv.Restart()
	s.Reconnect()
	_, err = s.DescribeSemaphore(t.Context(), "job")
	require.NoError(t, err)
	require.True(t, l.Valid())
	require.True(t, l.Deadline().After(before))
	require.NoError(t, l.Release())
	require.ErrorIs(t, context.Cause(l.Context()), tenure.ErrLeaseReleased)
	require.NoError(t, l.Release())
	require.NoError(t, s.Close(t.Context()))
	require.ErrorIs(t, context.Cause(s.Context()), tenure.ErrSessionClosed)
}

func TestSession_MissingNodeIsAnError(t *testing.T) {
	srv := tenuretest.NewServer(t)
	c := open(t, srv)
	_, err := c.Session(t.Context(), "/local/none")
	require.Error(t, err)
	t.Log(err)
	require.True(t, ydb.IsOperationErrorNotFoundError(err))
	s := session(t, c)
	_, err = s.AcquireSemaphore(t.Context(), "none", 1)
	t.Log(err)
	require.True(t, ydb.IsOperationErrorNotFoundError(err))
	require.NoError(t, s.CreateSemaphore(t.Context(), "x", 1))
	err = s.CreateSemaphore(t.Context(), "x", 1)
	t.Log(err)
	require.True(t, ydb.IsOperationErrorAlreadyExistsError(err))
	require.NoError(t, s.Close(t.Context()))
}
