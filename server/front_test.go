package server_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Discovery_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Discovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"tenure/internal/outputtest"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
	"tenure/server"
)

// space is that of the first node.
const space store.Space = 1

// member is one of several servers that share a store.
type member struct {
	*harness

	store   *storetest.Member
	address string
}

// cluster starts servers that share a store. The first one has created the node and owns it.
func cluster(t *testing.T, n int, opts ...server.Option) (*storetest.Cluster, []*member) {
	t.Helper()
	c := storetest.NewCluster()
	all := []*member{join(t, c, opts...)}
	all[0].createNode(t)
	all[0].attach(t, 0, time.Minute).cancel()
	require.Equal(t, all[0].store.Self().ID, c.Owner(space))
	for len(all) < n {
		all = append(all, join(t, c, opts...))
	}

	return c, all
}

// join starts one more server, on a real socket.
func join(t *testing.T, c *storetest.Cluster, opts ...server.Option) *member {
	t.Helper()

	return joinBehind(t, c, "", opts...)
}

// joinBehind is like join for a server that clients reach at the address of a load balancer.
func joinBehind(t *testing.T, c *storetest.Cluster, balancer string, opts ...server.Option) *member {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	st := c.Join("server at "+lis.Addr().String(), "grpc://"+lis.Addr().String())
	if balancer != "" {
		st.Behind(balancer)
		opts = append(opts, server.WithAdvertise(balancer))
	}
	srv, err := server.New(append([]server.Option{withStore(st)}, opts...)...)
	require.NoError(t, err)
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	require.NoError(t, err)
	m := &member{store: st, address: lis.Addr().String(), harness: &harness{
		node: "/local/test", server: srv, conn: conn, served: make(chan error, 1),
		client: Ydb_Coordination_V1.NewCoordinationServiceClient(conn),
	}}
	go func() { m.served <- srv.Serve(lis) }()
	t.Cleanup(func() { m.stop(t) })

	return m
}

// stopSoon stops the server, which must not wait for the end of a stream or of a session.
func (m *member) stopSoon(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute/2)
	defer cancel()
	require.NoError(t, m.server.Stop(ctx))
	require.NoError(t, ctx.Err())
}

// A client that is connected to any server uses a node that another one serves, with clients of all servers.
func TestFront_Forwards(t *testing.T) {
	t.Parallel()
	c, all := cluster(t, 3)
	direct, first := all[0].attach(t, 0, time.Minute), all[1].attach(t, 0, time.Minute)
	second := all[2].attach(t, 0, time.Minute)
	require.Equal(t, all[0].store.Self().ID, c.Owner(space))
	first.requireAcquired("a")
	direct.requirePending("a")
	second.requirePending("a")
	first.requireReleased("a")
	require.True(t, direct.recv().GetAcquireSemaphoreResult().GetAcquired())
	direct.requireReleased("a")
	require.True(t, second.recv().GetAcquireSemaphoreResult().GetAcquired())

	back, err := all[1].attach(t, second.id, time.Minute), error(nil) // A8: through another server
	require.Equal(t, second.id, back.id)
	second.requireFailure(Ydb.StatusIds_BAD_SESSION, "Session stolen by another local client")
	require.NoError(t, back.grpc.CloseSend())
	for err == nil {
		var r *pb.SessionResponse
		r, err = back.grpc.Recv()
		require.Nil(t, r.GetFailure())
	}
	require.ErrorIs(t, err, io.EOF)
}

// While a stream is forwarded, the end of each server ends the stream in a way that lets the client attach again
// immediately. The session and what it holds stay.
func TestFront_Ends(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end  func(t *testing.T, owner, front, other *member)
		text string
		back int // the server to which the client attaches again
	}{
		"the front stops": {
			end:  func(t *testing.T, _, front, _ *member) { t.Helper(); front.stopSoon(t) },
			text: "the server is stopping", back: 2,
		},
		"the owner stops": {
			end:  func(t *testing.T, owner, _, _ *member) { t.Helper(); owner.stopSoon(t) },
			text: "the server is stopping", back: 1,
		},
		"the owner dies": {
			end: func(t *testing.T, owner, _, _ *member) {
				t.Helper()
				owner.store.Vanish()
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				_ = owner.server.Stop(ctx)
			},
			back: 1,
		},
		"the owner's machine dies": {
			end:  func(_ *testing.T, owner, _, _ *member) { owner.store.Vanish() },
			text: "the connection to the server of the coordination node has failed", back: 1,
		},
		"another server takes over": { // and the front does not know until it asks the owner
			end: func(t *testing.T, owner, _, other *member) {
				t.Helper()
				other.store.Seize(space)
				s := owner.open(t)
				s.send(startMessage(owner.node, 0, time.Minute)) // its commit fails
				s.requireFailure(Ydb.StatusIds_UNAVAILABLE, "another server serves the coordination node")
			},
			text: "another server serves the coordination node", back: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, all := cluster(t, 3)
			s := all[1].attach(t, 0, time.Minute)
			s.requireAcquired("a")
			tc.end(t, all[0], all[1], all[2])
			for {
				m, err := s.grpc.Recv()
				require.NoError(t, err)
				if f := m.GetFailure(); f != nil {
					require.Equal(t, Ydb.StatusIds_UNAVAILABLE, f.GetStatus())
					if tc.text != "" {
						require.Equal(t, tc.text, f.GetIssues()[0].GetMessage())
					}
					s.requireEnd()

					break
				}
			}
			back := all[tc.back].attach(t, s.id, time.Minute)
			require.Equal(t, s.id, back.id)
			back.requireReleased("a")
		})
	}
}

// A client that goes away, or closes its half of the stream, ends the forwarded half too.
func TestFront_ClientEnds(t *testing.T) {
	t.Parallel()
	_, all := cluster(t, 2)
	s := all[1].attach(t, 0, 500*time.Millisecond)
	s.requireAcquired("a")
	waiter := all[0].attach(t, 0, time.Minute)
	waiter.requirePending("a")
	s.cancel() // its timeout begins
	require.True(t, waiter.recv().GetAcquireSemaphoreResult().GetAcquired())

	last := all[1].attach(t, 0, time.Minute)
	last.send(&pb.SessionRequest{Request: &pb.SessionRequest_SessionStop_{SessionStop: &pb.SessionRequest_SessionStop{}}})
	require.NotZero(t, last.recv().GetSessionStopped().GetSessionId())
	last.requireEnd()
}

// Servers behind one load balancer reach each other at addresses of their own, and clients learn only of the balancer.
func TestFront_BehindALoadBalancer(t *testing.T) {
	t.Parallel()
	const balancer = "grpc://127.0.0.1:1" // nobody listens there
	c := storetest.NewCluster()
	a, b := joinBehind(t, c, balancer), joinBehind(t, c, balancer)
	a.createNode(t)
	a.attach(t, 0, time.Minute).requireAcquired("a")
	b.attach(t, 0, time.Minute).requirePending("a")
	status, err := b.server.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, status.Nodes[0].Semaphores[0].Waiters, 1)
	require.Len(t, status.Servers, 2)
	for _, s := range status.Servers {
		require.Equal(t, balancer, s.Address)
		require.Empty(t, s.Error)
	}
	var result Ydb_Discovery.ListEndpointsResult
	r, err := Ydb_Discovery_V1.NewDiscoveryServiceClient(b.conn).ListEndpoints(t.Context(),
		&Ydb_Discovery.ListEndpointsRequest{Database: "/local"})
	requireSuccess(t, r, err, &result)
	require.Len(t, result.GetEndpoints(), 1)
}

// Every server lists all that live, each once.
func TestFront_Endpoints(t *testing.T) {
	t.Parallel()
	_, all := cluster(t, 3)
	listed := func(m *member) (addresses []string, ids map[uint32]bool) {
		t.Helper()
		var result Ydb_Discovery.ListEndpointsResult
		r, err := Ydb_Discovery_V1.NewDiscoveryServiceClient(m.conn).ListEndpoints(t.Context(),
			&Ydb_Discovery.ListEndpointsRequest{Database: "/local"})
		requireSuccess(t, r, err, &result)
		ids = make(map[uint32]bool)
		for _, e := range result.GetEndpoints() {
			addresses = append(addresses, net.JoinHostPort(e.GetAddress(), strconv.Itoa(int(e.GetPort()))))
			ids[e.GetNodeId()] = true
		}

		return addresses, ids
	}
	for _, m := range all {
		addresses, ids := listed(m)
		require.ElementsMatch(t, []string{all[0].address, all[1].address, all[2].address}, addresses)
		require.Equal(t, m.address, addresses[0])
		require.Len(t, ids, 3)
	}
	all[1].stopSoon(t)
	addresses, _ := listed(all[0])
	require.ElementsMatch(t, []string{all[0].address, all[2].address}, addresses)
}

// A node that is dropped through any server ends its streams, also those that are forwarded.
func TestFront_Drop(t *testing.T) {
	t.Parallel()
	_, all := cluster(t, 3)
	direct, through := all[0].attach(t, 0, time.Minute), all[1].attach(t, 0, time.Minute)
	r, err := all[2].client.DropNode(t.Context(), &pb.DropNodeRequest{Path: all[2].node})
	requireSuccess(t, r, err, nil)
	for _, s := range []*session{direct, through} {
		s.requireFailure(Ydb.StatusIds_UNAVAILABLE, "the coordination node was dropped")
	}
	late := all[1].open(t)
	late.send(startMessage(all[1].node, 0, time.Minute))
	late.requireFailure(Ydb.StatusIds_NOT_FOUND, "Kesus not found")
}

// silent returns the address of a server that accepts connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { lis.Close() })

	return lis.Addr().String()
}

// A stream waits for a server that serves its node, but not for long.
func TestFront_NoOwner(t *testing.T) {
	t.Parallel()
	for _, vanishes := range []bool{false, true} {
		t.Run(strconv.FormatBool(vanishes), func(t *testing.T) {
			t.Parallel()
			c := storetest.NewCluster()
			var log outputtest.Buffer
			m := join(t, c, server.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			m.createNode(t)
			ghost := c.Join("ghost", "grpc://"+silent(t))
			ghost.Seize(space)
			s := m.open(t)
			s.send(startMessage(m.node, 0, time.Minute))
			if !vanishes {
				const none = "no server of the cluster serves the coordination node at the moment"
				s.requireFailure(Ydb.StatusIds_UNAVAILABLE, none)
				s = m.open(t)
				s.send(startMessage(m.node, 0, time.Minute))
				s.requireFailure(Ydb.StatusIds_UNAVAILABLE, none)
				require.Equal(t, 1, strings.Count(log.String(), `msg="another server cannot be reached: its nodes cannot be `+
					`used through this one" server=ghost`), "one line a minute")

				return
			}
			require.Never(t, func() bool { return c.Owner(space) != "ghost" }, 50*time.Millisecond, 10*time.Millisecond)
			ghost.Vanish()
			require.NotZero(t, s.recv().GetSessionStarted().GetSessionId())
		})
	}
}
