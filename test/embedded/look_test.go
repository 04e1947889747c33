//go:build unix

package embedded

import (
	"context"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// link is an owner or waiter of a task on the server.
type link struct{ session, order uint64 }

// look asks the current host for the owner of the task and for its waiters in order. It returns false if no host
// answers. It uses a bare connection, because a tenure client would host the server if no other process did.
func (c *Crew) look(task string) (owner link, waiting []link, ok bool) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), time.Second)
	defer cancel()
	conn, err := grpc.NewClient("unix://"+filepath.Join(c.model.Dir, "socket"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(c.tb, err)
	defer conn.Close()
	s, err := Ydb_Coordination_V1.NewCoordinationServiceClient(conn).Session(ctx)
	if err != nil {
		return link{}, nil, false
	}
	for _, m := range []*pb.SessionRequest{
		{Request: &pb.SessionRequest_SessionStart_{
			SessionStart: &pb.SessionRequest_SessionStart{Path: Node, TimeoutMillis: 1000},
		}},
		{Request: &pb.SessionRequest_DescribeSemaphore_{DescribeSemaphore: &pb.SessionRequest_DescribeSemaphore{
			Name: task, IncludeOwners: true, IncludeWaiters: true,
		}}},
		{Request: &pb.SessionRequest_SessionStop_{SessionStop: &pb.SessionRequest_SessionStop{}}},
	} {
		if s.Send(m) != nil {
			break // Recv returns the reason
		}
	}
	for {
		m, err := s.Recv()
		if err != nil {
			return owner, waiting, ok
		}
		if found := m.GetDescribeSemaphoreResult(); found != nil {
			for _, o := range found.GetSemaphoreDescription().GetOwners() {
				owner, ok = link{o.GetSessionId(), o.GetOrderId()}, true
			}
			for _, w := range found.GetSemaphoreDescription().GetWaiters() {
				waiting = append(waiting, link{w.GetSessionId(), w.GetOrderId()})
			}
		}
	}
}
