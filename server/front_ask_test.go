package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tenure/internal/peerkey"
	"tenure/internal/serverconfig"
	"tenure/server"
)

// withAdmin lets a test act on a server as the HTTP server does.
func withAdmin(a *serverconfig.Admin) server.Option {
	return func(c *serverconfig.Config) { c.Admin = a }
}

// Every server shows all nodes, and ends sessions of all of them.
func TestFront_StatusAndEnd(t *testing.T) {
	t.Parallel()
	c, all := cluster(t, 1)
	var admin serverconfig.Admin
	front := join(t, c, withAdmin(&admin))
	s, waiter := front.attach(t, 0, time.Minute), all[0].attach(t, 0, time.Minute)
	s.requireAcquired("a")
	waiter.requirePending("a")
	want, err := all[0].server.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "grpc://"+all[0].address, want.Nodes[0].Server)
	require.Equal(t, s.id, want.Nodes[0].Semaphores[0].Owners[0].Session)
	got, err := front.server.StatusInMemory(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, got)

	by := serverconfig.Requester{User: "ann"}
	require.ErrorIs(t, admin.EndSession(t.Context(), by, front.node, 999, 0), server.ErrNoSession)
	require.ErrorIs(t, admin.EndSession(t.Context(), by, "/local/none", s.id, 0), server.ErrNoNode)
	require.NoError(t, admin.EndSession(t.Context(), by, front.node, s.id, 0))
	s.requireFailure(Ydb.StatusIds_SESSION_EXPIRED, "Session does not exist")
	require.True(t, waiter.recv().GetAcquireSemaphoreResult().GetAcquired())
}

// Only servers may ask.
func TestFront_ClientsCannotAsk(t *testing.T) {
	t.Parallel()
	_, all := cluster(t, 1)
	in, out := wrapperspb.Bytes([]byte(`{"ask":"status","path":"/local/test"}`)), new(wrapperspb.BytesValue)
	err := all[0].conn.Invoke(t.Context(), "/tenure.Peer/Ask", in, out)
	require.Equal(t, codes.Unimplemented, status.Code(err), err)
	key, err := peerkey.New(all[0].store.Secret())
	require.NoError(t, err)
	require.NoError(t, dialAs(t, all[0], key.Client()).Invoke(t.Context(), "/tenure.Peer/Ask", in, out))
	require.Contains(t, string(out.GetValue()), "semaphores")
}
