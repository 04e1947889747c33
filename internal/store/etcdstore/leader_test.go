package etcdstore

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

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
	pb.UnimplementedLeaseServer

	id     uint64
	leader *atomic.Uint64 // of all members; 0: none

	txns, renewals chan uint64 // the members that have got one
}

func (m *silentMember) Txn(ctx context.Context, _ *pb.TxnRequest) (*pb.TxnResponse, error) {
	m.txns <- m.id
	<-ctx.Done()

	return nil, ctx.Err()
}

// LeaseKeepAlive answers one renewal.
func (m *silentMember) LeaseKeepAlive(stream pb.Lease_LeaseKeepAliveServer) error {
	m.renewals <- m.id
	r, err := stream.Recv()
	if err != nil {
		return err
	}

	return stream.Send(&pb.LeaseKeepAliveResponse{ID: r.GetID(), TTL: 3})
}

func (m *silentMember) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	return &pb.StatusResponse{Header: &pb.ResponseHeader{MemberId: m.id}, Leader: m.leader.Load()}, nil
}

// silentMembers returns a client of three members, and a function that makes one of them the leader, or none with 0.
func silentMembers(t *testing.T) (e *etcd, m silentMember, look func(id uint64)) {
	t.Helper()
	m = silentMember{leader: new(atomic.Uint64), txns: make(chan uint64, 10), renewals: make(chan uint64, 10)}
	var endpoints []string
	for id := range uint64(3) {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		one := &silentMember{id: id + 1, leader: m.leader, txns: m.txns, renewals: m.renewals}
		g := grpc.NewServer()
		pb.RegisterKVServer(g, one)
		pb.RegisterMaintenanceServer(g, one)
		pb.RegisterLeaseServer(g, one)
		go func() { _ = g.Serve(lis) }()
		t.Cleanup(g.Stop)
		endpoints = append(endpoints, "http://"+lis.Addr().String())
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	e = &etcd{client: client, clock: clock.Go(), leader: &leader{client: client, clock: clock.Go()}}
	var current *route
	t.Cleanup(func() { e.leader.use(&current, nil) })

	return e, m, func(id uint64) {
		m.leader.Store(id)
		e.leader.use(&current, nil)
		var found *route
		require.Eventually(t, func() bool { // a busy machine may not answer within the limit
			found = e.leader.find(t.Context())

			return found != nil || id == 0
		}, time.Minute, time.Millisecond)
		e.leader.use(&current, found)
	}
}

// A registration is renewed at the leader, whichever member that is. All others may be unable to reach it.
func TestRegistration_RenewsAtTheLeader(t *testing.T) {
	t.Parallel()
	e, m, look := silentMembers(t)
	r := &registration{etcd: e}
	for _, id := range []uint64{2, 3, 1} {
		look(id)
		for range 3 {
			require.NoError(t, r.renewOnce(t.Context(), 1, attemptTimeout))
			require.Equal(t, id, <-m.renewals)
		}
	}
}

// A transaction that waits for a leader that is gone does not wait for its time limit: it ends when another member
// leads, and the next attempt goes there.
func TestLeader_EndsAttempts(t *testing.T) {
	t.Parallel()
	e, m, look := silentMembers(t)
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
	<-m.txns
	look(2)
	require.ErrorIs(t, <-waiting, context.Canceled)
	waiting = attempt()
	require.Equal(t, uint64(2), <-m.txns)
	look(3)
	require.ErrorIs(t, <-waiting, context.Canceled)
}
