package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Auth_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Discovery_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Scheme_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Auth"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Discovery"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"tenure/internal/audit"
	"tenure/internal/outputtest"
	"tenure/internal/printable"
	"tenure/internal/serverconfig"
	"tenure/server"
)

// Whatever a client sends, and whoever it is, neither an answer nor the logs repeat more than a part of it, and each
// line of a log stays one line.
func TestEcho(t *testing.T) {
	t.Parallel()
	const huge = 1 << 20
	evil := "/local/" + strings.Repeat("\x1b[2J\n\u202e\"x", huge/10)
	deep := "/local" + strings.Repeat("/"+strings.Repeat("x", 255), 31) // the longest that is valid
	header := strings.Repeat("a b%", 1_000)                             // printable, and below the limit of headers

	var log, lines outputtest.Buffer
	audited, err := audit.Open(audit.Config{Writer: &lines})
	require.NoError(t, err)
	u := usersFile(t)
	u.granted("reader", "/local", "list")
	h := serveUsers(t, u, server.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		func(c *serverconfig.Config) { c.Audit = audited })

	type conn = grpc.ClientConnInterface
	type answer interface {
		GetOperation() *Ydb_Operations.Operation
	}
	calls := map[string]func(ctx context.Context, c conn, text string) (answer, error){
		"create node": func(ctx context.Context, c conn, text string) (answer, error) {
			return Ydb_Coordination_V1.NewCoordinationServiceClient(c).CreateNode(ctx, &pb.CreateNodeRequest{Path: text})
		},
		"alter node": func(ctx context.Context, c conn, text string) (answer, error) {
			return Ydb_Coordination_V1.NewCoordinationServiceClient(c).AlterNode(ctx,
				&pb.AlterNodeRequest{Path: text, Config: &pb.Config{}})
		},
		"drop node": func(ctx context.Context, c conn, text string) (answer, error) {
			return Ydb_Coordination_V1.NewCoordinationServiceClient(c).DropNode(ctx, &pb.DropNodeRequest{Path: text})
		},
		"describe node": func(ctx context.Context, c conn, text string) (answer, error) {
			return Ydb_Coordination_V1.NewCoordinationServiceClient(c).DescribeNode(ctx,
				&pb.DescribeNodeRequest{Path: text})
		},
		"make directory": func(ctx context.Context, c conn, text string) (answer, error) {
			return Ydb_Scheme_V1.NewSchemeServiceClient(c).MakeDirectory(ctx,
				&Ydb_Scheme.MakeDirectoryRequest{Path: text})
		},
		"remove directory": func(ctx context.Context, c conn, text string) (answer, error) {
			return Ydb_Scheme_V1.NewSchemeServiceClient(c).RemoveDirectory(ctx,
				&Ydb_Scheme.RemoveDirectoryRequest{Path: text})
		},
		"list directory": func(ctx context.Context, c conn, text string) (answer, error) {
			return Ydb_Scheme_V1.NewSchemeServiceClient(c).ListDirectory(ctx,
				&Ydb_Scheme.ListDirectoryRequest{Path: text})
		},
		"describe path": func(ctx context.Context, c conn, text string) (answer, error) {
			return Ydb_Scheme_V1.NewSchemeServiceClient(c).DescribePath(ctx,
				&Ydb_Scheme.DescribePathRequest{Path: text})
		},
		"modify permissions": func(ctx context.Context, c conn, text string) (answer, error) {
			return Ydb_Scheme_V1.NewSchemeServiceClient(c).ModifyPermissions(ctx, &Ydb_Scheme.ModifyPermissionsRequest{
				Path: text, Actions: []*Ydb_Scheme.PermissionsAction{{Action: &Ydb_Scheme.PermissionsAction_ChangeOwner{
					ChangeOwner: text,
				}}},
			})
		},
		"log in": func(ctx context.Context, c conn, text string) (answer, error) {
			return Ydb_Auth_V1.NewAuthServiceClient(c).Login(ctx, &Ydb_Auth.LoginRequest{User: text, Password: text})
		},
		"list endpoints": func(ctx context.Context, c conn, text string) (answer, error) {
			return Ydb_Discovery_V1.NewDiscoveryServiceClient(c).ListEndpoints(ctx,
				&Ydb_Discovery.ListEndpointsRequest{Database: text, Service: []string{text}})
		},
		"database header": func(ctx context.Context, c conn, _ string) (answer, error) {
			return Ydb_Discovery_V1.NewDiscoveryServiceClient(c).WhoAmI(
				metadata.AppendToOutgoingContext(ctx, "x-ydb-database", header), &Ydb_Discovery.WhoAmIRequest{})
		},
		"unknown method": func(ctx context.Context, c conn, _ string) (answer, error) {
			return nil, c.Invoke(ctx, "/\u202e"+header+"/x", &Ydb_Discovery.WhoAmIRequest{}, &Ydb_Discovery.WhoAmIResponse{})
		},
	}
	callers := map[string]conn{
		"root": h.as(u.tokens["root"]), "reader": h.as(u.tokens["reader"]), "nobody": h.conn, "stranger": h.as(header),
	}
	for who, c := range callers {
		for name, call := range calls {
			for _, text := range []string{evil, deep} {
				r, err := call(t.Context(), c, text)
				if err != nil {
					requireShort(t, name+" by "+who, status.Convert(err).Message())
				} else {
					requireShort(t, name+" by "+who, issues(r.GetOperation().GetIssues()))
				}
			}
		}
		for name, messages := range streams(h.node, evil) {
			requireShort(t, name+" by "+who, answers(t, c, messages))
		}
	}

	h.stop(t)
	require.NoError(t, audited.Close())
	require.NotEmpty(t, lines.String())
	for line := range strings.Lines(log.String()) {
		require.Regexp(t, "^time=", line)
		requireShort(t, "log", strings.TrimSuffix(line, "\n"))
	}
	for line := range strings.Lines(lines.String()) {
		require.Regexp(t, `^\{"t":.*\}\n$`, line)
		require.Less(t, len(line), 10<<10) // it has whole paths
	}
}

// streams are the messages of streams with a text that is too long.
func streams(node, evil string) map[string][]*pb.SessionRequest {
	start := startMessage(node, 0, 0)
	describe := func(name string) *pb.SessionRequest { return describeMessage(1, name) }
	long := startMessage(node, 0, 0)
	long.GetSessionStart().Description = evil

	return map[string][]*pb.SessionRequest{
		"start": {startMessage(evil, 0, 0)}, "description": {long},
		"acquire": {start, acquireMessage(1, evil, 0)}, "describe": {start, describe(evil)},
		"create": {start, {Request: &pb.SessionRequest_CreateSemaphore_{
			CreateSemaphore: &pb.SessionRequest_CreateSemaphore{ReqId: 1, Name: evil, Limit: 1},
		}}},
		"update": {start, {Request: &pb.SessionRequest_UpdateSemaphore_{
			UpdateSemaphore: &pb.SessionRequest_UpdateSemaphore{ReqId: 1, Name: evil},
		}}},
		"delete": {start, {Request: &pb.SessionRequest_DeleteSemaphore_{
			DeleteSemaphore: &pb.SessionRequest_DeleteSemaphore{ReqId: 1, Name: evil, Force: true},
		}}},
		"release": {start, {Request: &pb.SessionRequest_ReleaseSemaphore_{
			ReleaseSemaphore: &pb.SessionRequest_ReleaseSemaphore{ReqId: 1, Name: evil},
		}}},
	}
}

// answers sends messages on a stream and returns all that comes back.
func answers(t *testing.T, conn grpc.ClientConnInterface, messages []*pb.SessionRequest) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := Ydb_Coordination_V1.NewCoordinationServiceClient(conn).Session(ctx)
	if err != nil {
		return status.Convert(err).Message()
	}
	for _, m := range messages {
		_ = stream.Send(m) // the stream may have ended
	}
	var all []string
	for {
		m, err := stream.Recv()
		switch {
		case err != nil:
			return strings.Join(append(all, status.Convert(err).Message()), " ")
		case m.GetFailure() != nil:
			all = append(all, issues(m.GetFailure().GetIssues()))
		case m.GetSessionStarted() != nil, m.GetPing() != nil:
		default:
			return fmt.Sprint(m)
		}
	}
}

func issues(all []*Ydb_Issue.IssueMessage) string {
	texts := make([]string, len(all))
	for i, issue := range all {
		texts[i] = issue.GetMessage()
	}

	return strings.Join(texts, " ")
}

func requireShort(t *testing.T, what, text string) {
	t.Helper()
	require.Less(t, len(text), 6<<10, what)
	require.Equal(t, printable.Text(text), text, what)
}
