package lock_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"tenure"
	"tenure/lock"
	"tenure/server"
)

// While a client uses up the rate of a server, a lease is not lost, and a waiter keeps waiting. It gets the lock when
// the load has ended.
func TestAcquire_OverloadedServer(t *testing.T) {
	t.Parallel()
	s, err := server.New(server.WithLimits(server.Limits{RequestRate: 20}))
	require.NoError(t, err)
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.Serve(lis) }()
	t.Cleanup(func() {
		require.NoError(t, s.Stop(context.WithoutCancel(t.Context())))
		require.NoError(t, <-served)
	})
	open := func() *tenure.Client {
		c, err := tenure.Open(t.Context(), "grpc://"+lis.Addr().String()+"/local")
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })

		return c
	}
	first, second := open(), open()
	held := acquire(t, first, name, lock.WithTimeout(4*time.Second))

	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	load, stop := context.WithCancel(t.Context())
	defer stop()
	var flood sync.WaitGroup
	refused := make(chan struct{})
	flood.Go(func() {
		seen := false
		for load.Err() == nil {
			r, err := Ydb_Coordination_V1.NewCoordinationServiceClient(conn).DescribeNode(load,
				&pb.DescribeNodeRequest{Path: path})
			if err == nil && r.GetOperation().GetStatus() == 400060 && !seen { // OVERLOADED
				seen = true
				close(refused)
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
	<-refused
	got := make(chan error, 1)
	go func() {
		h, err := lock.Acquire(t.Context(), second, path, name, lock.WithWait(time.Minute), lock.WithTimeout(4*time.Second))
		if err == nil {
			err = h.Release(t.Context())
		}
		got <- err
	}()
	renewed := held.Renewed()
	for range 3 { // each quarter of the timeout
		<-renewed
		renewed = held.Renewed()
	}
	require.NoError(t, held.Context().Err())
	stop()
	flood.Wait()
	require.NoError(t, held.Release(t.Context()))
	require.NoError(t, <-got)
}
