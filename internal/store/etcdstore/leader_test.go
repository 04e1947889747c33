package etcdstore

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"tenure/internal/clock"
	"tenure/internal/ownership"
)

// silentMember is a member of etcd that says who leads, and carries out no transaction.
type silentMember struct {
	pb.UnimplementedKVServer
	pb.UnimplementedMaintenanceServer

	id     uint64
	leader *atomic.Uint64 // of all members; 0: none
	txns   chan uint64    // the members that have got a transaction
}

func (m *silentMember) Txn(ctx context.Context, _ *pb.TxnRequest) (*pb.TxnResponse, error) {
	m.txns <- m.id
	<-ctx.Done()

	return nil, ctx.Err()
}

func (m *silentMember) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	return &pb.StatusResponse{Header: &pb.ResponseHeader{MemberId: m.id}, Leader: m.leader.Load()}, nil
}

// A transaction that waits for a leader that is gone does not wait for its time limit: it ends when another member
// leads, and the next attempt goes there.
func TestLeader_EndsAttempts(t *testing.T) {
	t.Parallel()
	var leads atomic.Uint64
	txns := make(chan uint64, 10)
	var endpoints []string
	for id := range uint64(3) {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		m := &silentMember{id: id + 1, leader: &leads, txns: txns}
		g := grpc.NewServer()
		pb.RegisterKVServer(g, m)
		pb.RegisterMaintenanceServer(g, m)
		go func() { _ = g.Serve(lis) }()
		t.Cleanup(g.Stop)
		endpoints = append(endpoints, "http://"+lis.Addr().String())
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	e := &etcd{client: client, clock: clock.Go(), leader: &leader{client: client, clock: clock.Go()}}
	var current *route
	look := func(id uint64) {
		leads.Store(id)
		e.leader.use(&current, nil)
		e.leader.use(&current, e.leader.find(t.Context()))
	}
	t.Cleanup(func() { e.leader.use(&current, nil) })
	attempt := func() <-chan error {
		done := make(chan error, 1)
		go func() {
			_, err := e.do(t.Context(), ownership.Txn{Then: []ownership.Op{{Kind: ownership.Put, Key: "a"}}})
			done <- err
		}()

		return done
	}
	look(1)
	look(0)
	waiting := attempt()
	<-txns
	look(2)
	require.ErrorIs(t, <-waiting, context.Canceled)
	waiting = attempt()
	require.Equal(t, uint64(2), <-txns)
	look(3)
	require.ErrorIs(t, <-waiting, context.Canceled)
}
