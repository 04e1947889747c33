package server_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Discovery_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Discovery"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

// answered is implemented by every unary response.
type answered interface {
	GetOperation() *Ydb_Operations.Operation
}

// requireSuccess unpacks the result, if one is expected.
func requireSuccess(t *testing.T, r answered, err error, result proto.Message) {
	t.Helper()
	require.NoError(t, err)
	op := r.GetOperation()
	require.Equal(t, Ydb.StatusIds_SUCCESS, op.GetStatus(), op.GetIssues())
	require.True(t, op.GetReady())
	require.Empty(t, op.GetIssues())
	if result == nil {
		require.Nil(t, op.GetResult())

		return
	}
	require.NoError(t, op.GetResult().UnmarshalTo(result))
}

func requireRefused(t *testing.T, r answered, err error, status Ydb.StatusIds_StatusCode, words string) {
	t.Helper()
	require.NoError(t, err)
	op := r.GetOperation()
	require.Equal(t, status, op.GetStatus(), op.GetIssues())
	require.True(t, op.GetReady())
	require.Len(t, op.GetIssues(), 1)
	require.Contains(t, op.GetIssues()[0].GetMessage(), words)
	require.EqualValues(t, 1, op.GetIssues()[0].GetSeverity())
	require.Nil(t, op.GetResult())
}

func requireProto(t *testing.T, want, got proto.Message) {
	t.Helper()
	require.Empty(t, cmp.Diff(want, got, protocmp.Transform()))
}

// N6: a request may name the database, and must then name the one that is served. This includes streams.
func TestDatabaseHeader(t *testing.T) {
	t.Parallel()
	h := serve(t)
	const refusal = `database "/prod" is not served here: use "/local"`
	in := func(database string) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), "x-ydb-database", database)
	}
	for _, ours := range []string{"/local", "//local/", ""} {
		r, err := h.client.DescribeNode(in(ours), &pb.DescribeNodeRequest{Path: h.node})
		requireSuccess(t, r, err, &pb.DescribeNodeResult{})
	}

	described, err := h.client.DescribeNode(in("/prod"), &pb.DescribeNodeRequest{Path: h.node})
	requireRefused(t, described, err, Ydb.StatusIds_NOT_FOUND, refusal)
	described, err = h.client.DescribeNode(in("local"), &pb.DescribeNodeRequest{Path: h.node})
	requireRefused(t, described, err, Ydb.StatusIds_NOT_FOUND, `database "local" is not served here`)
	created, err := h.client.CreateNode(in("/prod"), &pb.CreateNodeRequest{Path: "/local/n"})
	requireRefused(t, created, err, Ydb.StatusIds_NOT_FOUND, refusal)
	altered, err := h.client.AlterNode(in("/prod"), &pb.AlterNodeRequest{Path: h.node, Config: &pb.Config{}})
	requireRefused(t, altered, err, Ydb.StatusIds_NOT_FOUND, refusal)
	dropped, err := h.client.DropNode(in("/prod"), &pb.DropNodeRequest{Path: h.node})
	requireRefused(t, dropped, err, Ydb.StatusIds_NOT_FOUND, refusal)
	listed, err := h.scheme().ListDirectory(in("/prod"), &Ydb_Scheme.ListDirectoryRequest{Path: "/local"})
	requireRefused(t, listed, err, Ydb.StatusIds_NOT_FOUND, refusal)

	discovery := Ydb_Discovery_V1.NewDiscoveryServiceClient(h.conn)
	whoami, err := discovery.WhoAmI(in("/prod"), &Ydb_Discovery.WhoAmIRequest{})
	requireRefused(t, whoami, err, Ydb.StatusIds_NOT_FOUND, refusal)
	endpoints, err := discovery.ListEndpoints(t.Context(), &Ydb_Discovery.ListEndpointsRequest{Database: "/prod"})
	requireRefused(t, endpoints, err, Ydb.StatusIds_NOT_FOUND, refusal)

	ctx, cancel := context.WithCancel(in("/prod"))
	defer cancel()
	stream, err := h.client.Session(ctx)
	require.NoError(t, err)
	s := &session{t: t, grpc: stream, cancel: cancel}
	s.requireFailure(Ydb.StatusIds_NOT_FOUND, refusal)
}
