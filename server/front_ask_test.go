package server_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tenure/internal/node"
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
	require.Equal(t, want.Nodes, got.Nodes)
	for i, m := range []*member{all[0], front} {
		for _, st := range []server.Status{want, got} {
			at := slices.IndexFunc(st.Servers, func(s server.MemberStatus) bool { return s.ID == m.store.Self().ID })
			require.Equal(t, server.MemberStatus{
				ID: m.store.Self().ID, Address: "grpc://" + m.address, Nodes: 1 - i, Asked: st.Servers[at].Asked,
				Rights: "none",
			}, st.Servers[at])
		}
	}

	by := serverconfig.Requester{User: "ann"}
	require.ErrorIs(t, admin.EndSession(t.Context(), by, front.node, 999, 0), server.ErrNoSession)
	require.ErrorIs(t, admin.EndSession(t.Context(), by, "/local/none", s.id, 0), server.ErrNoNode)
	require.NoError(t, admin.EndSession(t.Context(), by, front.node, s.id, 0))
	s.requireFailure(Ydb.StatusIds_SESSION_EXPIRED, node.EndedByOperator)
	require.True(t, waiter.recv().GetAcquireSemaphoreResult().GetAcquired())
}

// A status claims no node. What no server serves is shown as the store has it, without its timeouts.
func TestFront_StatusClaimsNothing(t *testing.T) {
	t.Parallel()
	c, all := cluster(t, 2)
	s := all[1].attach(t, 0, time.Minute)
	s.requireAcquired("a")
	waiter := all[1].attach(t, 0, time.Minute)
	waiter.requirePending("a")
	for _, m := range all { // a server that stops hands the node over to another one, if it knows one
		m.stopSoon(t)
	}
	require.Empty(t, c.Owner(space))
	here, _ := join(t, c), join(t, c)
	got, err := here.server.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, got.Servers, 2)
	require.Len(t, got.Nodes, 1)
	n := got.Nodes[0]
	require.True(t, n.Unserved)
	require.Empty(t, n.Server)
	require.Equal(t, s.id, n.Semaphores[0].Owners[0].Session)
	require.False(t, n.Semaphores[0].Owners[0].Attached)
	require.Zero(t, n.Semaphores[0].Owners[0].Ends)
	require.Equal(t, waiter.id, n.Semaphores[0].Waiters[0].Session)
	got, err = here.server.StatusInMemory(t.Context())
	require.NoError(t, err)
	require.Equal(t, []server.NodeStatus{{
		Path: all[0].node, Unserved: true, Semaphores: []server.SemaphoreStatus{},
	}}, got.Nodes)
	require.Empty(t, c.Owner(space), "nobody has claimed the node")
}

// A server that does not answer does not keep the others from showing what they know.
func TestFront_StatusWithoutAnswer(t *testing.T) {
	t.Parallel()
	c, all := cluster(t, 2)
	ghost := c.Join("ghost", "grpc://127.0.0.1:1") // nobody listens there
	ghost.Seize(space)
	got, err := all[1].server.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "grpc://127.0.0.1:1", got.Nodes[0].Server)
	require.True(t, got.Nodes[0].Unserved)
	require.Len(t, got.Servers, 3)
	require.Equal(t, 1, got.Servers[0].Nodes)
	require.Contains(t, got.Servers[0].Error, "connection refused")
	require.Equal(t, "ghost", c.Owner(space))
}

// Only servers may ask.
func TestFront_ClientsCannotAsk(t *testing.T) {
	t.Parallel()
	_, all := cluster(t, 1)
	in, out := wrapperspb.Bytes([]byte(`{"ask":"nodes"}`)), new(wrapperspb.BytesValue)
	err := all[0].conn.Invoke(t.Context(), "/tenure.Peer/Ask", in, out)
	require.Equal(t, codes.Unimplemented, status.Code(err), err)
	key, err := peerkey.New(all[0].store.Secret())
	require.NoError(t, err)
	require.NoError(t, dialAs(t, all[0], key.Client()).Invoke(t.Context(), "/tenure.Peer/Ask", in, out))
	require.Contains(t, string(out.GetValue()), "semaphores")
}

// A connection that is used only to ask a living server stays.
func TestFront_KeepsConnections(t *testing.T) {
	t.Parallel()
	_, all := cluster(t, 2)
	_, err := all[1].server.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{all[0].address}, all[1].server.Peers())
	time.Sleep(1200 * time.Millisecond) // the front has looked at least once
	require.Equal(t, []string{all[0].address}, all[1].server.Peers())
	all[0].store.Vanish()
	require.Eventually(t, func() bool { return len(all[1].server.Peers()) == 0 }, time.Minute, 10*time.Millisecond)
}
