package etcdstore

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"tenure/internal/bubbletest"
	"tenure/internal/clock"
	"tenure/internal/relaytest"
)

// A server sends its requests to etcd and nothing else.
func TestConnections_NoPings(t *testing.T) {
	t.Parallel()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := grpc.NewServer()
	pb.RegisterMaintenanceServer(g, &silentMember{leader: new(atomic.Uint64)})
	go func() { _ = g.Serve(lis) }()
	t.Cleanup(g.Stop)
	var sent relaytest.Frames
	conn, err := grpc.NewClient(lis.Addr().String(), append(newConnections(clock.Go()).options(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(sent.Dial))...)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })

	const requests = 50
	for range requests {
		_, err := pb.NewMaintenanceClient(conn).Status(t.Context(), &pb.StatusRequest{})
		require.NoError(t, err)
	}

	require.GreaterOrEqual(t, sent.Data.Load(), int64(requests))
	require.Zero(t, sent.Pings.Load())
}

// A server connects soon after a member of etcd is back, however long that was away.
func TestConnections_ConnectAgainSoon(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		var attempts []time.Time
		conn, err := grpc.NewClient("passthrough:///member", append(newConnections(clock.Go()).options(),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`), // as the client of etcd does
			grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
				attempts = append(attempts, time.Now())

				return nil, errors.New("refused")
			}))...)
		require.NoError(t, err)
		defer conn.Close()
		conn.Connect()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Greater(t, len(attempts), 400)
		for i, at := range attempts[1:] {
			require.LessOrEqual(t, at.Sub(attempts[i]), 1300*time.Millisecond)
		}
	})
}
