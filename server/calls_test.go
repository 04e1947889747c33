package server_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"tenure/internal/bubbletest"
	"tenure/internal/node"
	"tenure/server"
)

// A stream that does not ask for a session in time is ended. A session is not affected.
func TestLimits_StartTimeout(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t, server.WithLimits(server.Limits{StartTimeout: 2 * time.Second}))
		attached := h.attach(t, 0, time.Minute)
		silent := h.open(t)
		began := time.Now()
		_, err := silent.grpc.Recv()
		require.Equal(t, codes.Canceled, status.Code(err), err)
		require.Equal(t, 2*time.Second, time.Since(began))
		attached.requireAcquired("job")
	})
}

// When the server has as many streams as it may have, others are asked to try again.
func TestLimits_Streams(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t, server.WithLimits(server.Limits{Streams: 1}))
		first := h.attach(t, 0, time.Minute)
		h.open(t) // a stream that asks for nothing takes no slot
		refused := h.open(t)
		refused.send(startMessage(h.node, 0, time.Minute))
		f := refused.recv().GetFailure()
		require.EqualValues(t, node.Overloaded, f.GetStatus())
		require.Equal(t, "the server already serves 1 stream: try again later", f.GetIssues()[0].GetMessage())
		first.cancel()
		synctest.Wait()
		h.attach(t, 0, time.Minute)
	})
}

// Calls that watch the server's health take no slots of sessions. There are limits for one connection and for all.
func TestLimits_Watches(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t, server.WithLimits(server.Limits{Streams: 1}))
		watch := func() error {
			w, err := grpc_health_v1.NewHealthClient(h.conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
			require.NoError(t, err)
			_, err = w.Recv()

			return err
		}
		for range 32 {
			require.NoError(t, watch())
		}
		err := watch()
		require.Equal(t, codes.ResourceExhausted, status.Code(err), err)
		h.attach(t, 0, time.Minute)
		require.Equal(t, map[string]uint64{"health_watches": 1}, h.server.Limits())
	})
}

// A stream of nobody that the server knows takes no slot, and nothing waits for its first message.
func TestLimits_RefusedCallers(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		u := usersFile(t)
		u.write(u.line("root"), "grant root / full")
		h := serveUsers(t, u, server.WithLimits(server.Limits{Streams: 1, StartTimeout: time.Second}))
		_, err := h.openAs(t, "unknown").grpc.Recv()
		require.Equal(t, codes.Unauthenticated, status.Code(err), err)
		time.Sleep(time.Minute)
		h.attachAs(t, u.tokens["root"])
		require.Empty(t, h.server.Limits())
	})
}

// The server limits the pings that it has to send for sessions with short timeouts.
func TestLimits_PingRate(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t, server.WithLimits(server.Limits{PingRate: 3}))
		short := h.attach(t, 0, time.Second) // 3 pings a second
		refused := h.open(t)
		refused.send(startMessage(h.node, 0, time.Second))
		require.EqualValues(t, node.Overloaded, refused.recv().GetFailure().GetStatus())
		h.attach(t, 0, 3*time.Second) // does not count
		short.cancel()
		synctest.Wait()
		h.attach(t, 0, time.Second)
	})
}

// A server that stops still answers a call whose request is about to arrive, but does not wait long for requests.
func TestStop_LateRequests(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t)
		begin := func() grpc.ClientStream {
			call, err := h.conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true},
				Ydb_Coordination_V1.CoordinationService_CreateNode_FullMethodName)
			require.NoError(t, err)

			return call
		}
		late, silent, stream := begin(), begin(), h.open(t)
		synctest.Wait() // the server has the headers of the calls
		began := time.Now()
		stopped := make(chan error, 1)
		go func() { stopped <- h.server.Stop(context.WithoutCancel(t.Context())) }()
		synctest.Wait()

		require.NoError(t, late.SendMsg(&pb.CreateNodeRequest{Path: "/local/late"}))
		require.NoError(t, late.CloseSend())
		var r pb.CreateNodeResponse
		require.NoError(t, late.RecvMsg(&r))
		require.Equal(t, Ydb.StatusIds_SUCCESS, r.GetOperation().GetStatus())
		require.Zero(t, time.Since(began))

		require.Equal(t, codes.Canceled, status.Code(silent.RecvMsg(&r)))
		_, err := stream.grpc.Recv()
		require.Equal(t, codes.Canceled, status.Code(err), err)
		require.NoError(t, <-stopped)
		require.Equal(t, 100*time.Millisecond, time.Since(began))
	})
}
