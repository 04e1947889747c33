package lock_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/balancers"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	"tenure"
	"tenure/lock"
)

// An unwilling server has the node, but starts no session on it.
type unwilling struct {
	Ydb_Coordination_V1.UnimplementedCoordinationServiceServer

	thinks time.Duration // how long it takes to refuse; negative: it does not answer
	issue  string
}

func (u *unwilling) DescribeNode(context.Context, *pb.DescribeNodeRequest) (*pb.DescribeNodeResponse, error) {
	result, err := anypb.New(&pb.DescribeNodeResult{})

	return &pb.DescribeNodeResponse{Operation: &Ydb_Operations.Operation{
		Ready: true, Status: Ydb.StatusIds_SUCCESS, Result: result,
	}}, err
}

func (u *unwilling) Session(s Ydb_Coordination_V1.CoordinationService_SessionServer) error {
	var refuse <-chan time.Time
	if u.thinks >= 0 {
		refuse = time.After(u.thinks)
	}
	select {
	case <-refuse:
	case <-s.Context().Done():
		return s.Context().Err()
	}

	return s.Send(&pb.SessionResponse{Response: &pb.SessionResponse_Failure_{Failure: &pb.SessionResponse_Failure{
		Status: Ydb.StatusIds_UNAVAILABLE, Issues: []*Ydb_Issue.IssueMessage{{Message: u.issue}},
	}}})
}

// serveUnwilling serves u, and returns a client.
func serveUnwilling(t *testing.T, u *unwilling) *tenure.Client {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := grpc.NewServer()
	Ydb_Coordination_V1.RegisterCoordinationServiceServer(srv, u)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	db, err := ydb.Open(t.Context(), "grpc://"+lis.Addr().String()+"/local",
		ydb.WithAnonymousCredentials(), ydb.WithBalancer(balancers.SingleConn()))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, db.Close(context.WithoutCancel(t.Context())))
		srv.Stop()
		require.NoError(t, <-served)
	})

	return tenure.New(db)
}

// While a server starts no session, a waiter learns what the server says of that, before the first attempt has ended.
func TestAcquire_TellsWhyThereIsNoSession(t *testing.T) {
	t.Parallel()
	const damaged = "the records of the coordination node are damaged: the log of its server says which"
	const away = "no server of the cluster serves the coordination node at the moment"
	said := func(issue string) string { return `open session on node "/local/test": UNAVAILABLE (` + issue + `)` }
	for _, test := range []struct {
		name   string
		server unwilling
		want   string
	}{
		{"the node is damaged", unwilling{issue: damaged}, said(damaged)},
		{"the server of the node is out of reach", unwilling{thinks: 2 * time.Second, issue: away}, said(away)},
		{
			"no answer",
			unwilling{thinks: -1},
			`the server answers, but not yet to the request for a session on node "/local/test": ` +
				"it is busy, or the node is being loaded: see its log",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := serveUnwilling(t, &test.server)
			events := newRecorder()
			ctx, stop := context.WithTimeout(t.Context(), 9*time.Second) // the first attempt ends after 10 s
			defer stop()
			done := make(chan error, 1)
			go func() {
				_, err := lock.Acquire(ctx, client, path, name, events.observer())
				done <- err
			}()
			told := func(e lock.NoSession) bool { return e.Err.Error() == test.want }
			for !slices.ContainsFunc(all[lock.NoSession](events), told) {
				select {
				case <-events.news:
				case <-ctx.Done():
					require.FailNow(t, "not told", all[lock.NoSession](events))
				}
			}
			stop()
			require.ErrorIs(t, <-done, context.Canceled)
		})
	}
}
