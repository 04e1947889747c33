package server_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"tenure/internal/bubbletest"
	"tenure/server"
)

// A silent connection, as port scanners and some health checks make them, does not keep the server from stopping.
func TestStop_CutsSilentConnections(t *testing.T) {
	t.Parallel()
	srv, err := server.New()
	require.NoError(t, err)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()

	silent, err := net.Dial("tcp", lis.Addr().String())
	require.NoError(t, err)
	defer silent.Close()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	_, err = grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err) // so the server has accepted the silent connection, which came first

	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 100*time.Millisecond)
		defer cancel()
		stopped <- srv.Stop(ctx)
	}()
	select {
	case err := <-stopped:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		require.FailNow(t, "the server waits for the silent connection")
	}
	require.NoError(t, <-served)
}

// gRPC sends a PING of HTTP/2 with each round trip. A fast client is not cut because of them. Virtual time makes this
// client as fast as can be.
func TestLimits_FastClient(t *testing.T) {
	bubbletest.Test(t, func(t *testing.T) {
		h := serve(t, server.WithLimits(server.Limits{FrameRate: 50}))
		s := h.attach(t, 0, time.Minute)
		for range 500 {
			s.requireAcquired("job")
			s.requireReleased("job")
		}
	})
}
