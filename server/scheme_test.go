package server_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Scheme_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/scheme"
	"github.com/ydb-platform/ydb-go-sdk/v3/sugar"

	"tenure/server"
)

func (h *harness) scheme() Ydb_Scheme_V1.SchemeServiceClient {
	return Ydb_Scheme_V1.NewSchemeServiceClient(h.conn)
}

func TestScheme(t *testing.T) {
	t.Parallel()
	h := serve(t)
	ctx, client := t.Context(), h.scheme()

	made, err := client.MakeDirectory(ctx, &Ydb_Scheme.MakeDirectoryRequest{Path: "/local/b/c"})
	requireSuccess(t, made, err, nil)
	made, err = client.MakeDirectory(ctx, &Ydb_Scheme.MakeDirectoryRequest{Path: "/local/b"})
	requireSuccess(t, made, err, nil)
	made, err = client.MakeDirectory(ctx, &Ydb_Scheme.MakeDirectoryRequest{Path: h.node})
	requireRefused(t, made, err, Ydb.StatusIds_SCHEME_ERROR, "is a coordination node")

	var list Ydb_Scheme.ListDirectoryResult
	listed, err := client.ListDirectory(ctx, &Ydb_Scheme.ListDirectoryRequest{Path: "/local/"})
	requireSuccess(t, listed, err, &list)
	require.Equal(t, "local DATABASE, b DIRECTORY, test COORDINATION_NODE",
		names(append([]*Ydb_Scheme.Entry{list.GetSelf()}, list.GetChildren()...)))
	listed, err = client.ListDirectory(ctx, &Ydb_Scheme.ListDirectoryRequest{Path: h.node})
	requireSuccess(t, listed, err, &list)
	require.Equal(t, "test COORDINATION_NODE", names([]*Ydb_Scheme.Entry{list.GetSelf()}))
	require.Empty(t, list.GetChildren())
	listed, err = client.ListDirectory(ctx, &Ydb_Scheme.ListDirectoryRequest{Path: "/local/x"})
	requireRefused(t, listed, err, Ydb.StatusIds_SCHEME_ERROR, "does not exist")

	var self Ydb_Scheme.DescribePathResult
	described, err := client.DescribePath(ctx, &Ydb_Scheme.DescribePathRequest{Path: "/local/b//c"})
	requireSuccess(t, described, err, &self)
	require.Equal(t, "c DIRECTORY", names([]*Ydb_Scheme.Entry{self.GetSelf()}))
	described, err = client.DescribePath(ctx, &Ydb_Scheme.DescribePathRequest{Path: "/elsewhere"})
	requireRefused(t, described, err, Ydb.StatusIds_BAD_REQUEST, `outside the database "/local"`)

	removed, err := client.RemoveDirectory(ctx, &Ydb_Scheme.RemoveDirectoryRequest{Path: "/local/b"})
	requireRefused(t, removed, err, Ydb.StatusIds_PRECONDITION_FAILED, "not empty")
	removed, err = client.RemoveDirectory(ctx, &Ydb_Scheme.RemoveDirectoryRequest{Path: "/local/b/c"})
	requireSuccess(t, removed, err, nil)
	removed, err = client.RemoveDirectory(ctx, &Ydb_Scheme.RemoveDirectoryRequest{Path: "/local"})
	requireRefused(t, removed, err, Ydb.StatusIds_SCHEME_ERROR, "the database itself")
}

func names(entries []*Ydb_Scheme.Entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.GetName()+" "+e.GetType().String())
	}

	return strings.Join(all, ", ")
}

// D1, D2: ydb-go-sdk finds the server by the given address, including an IPv6 one, and its scheme and coordination
// clients work.
func TestSDK(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			db := openSDK(t, host)
			ctx := t.Context()

			who, err := db.Discovery().WhoAmI(ctx)
			require.NoError(t, err)
			require.Equal(t, "anonymous", who.User)

			given := coordination.NodeConfig{
				SelfCheckPeriodMillis: 800, SessionGracePeriodMillis: 9_000,
				ReadConsistencyMode:     coordination.ConsistencyModeRelaxed,
				AttachConsistencyMode:   coordination.ConsistencyModeStrict,
				RatelimiterCountersMode: coordination.RatelimiterCountersModeAggregated,
			}
			require.NoError(t, db.Coordination().CreateNode(ctx, "/local/a/n", given))
			require.NoError(t, db.Coordination().AlterNode(ctx, "/local/a/n", coordination.NodeConfig{
				SelfCheckPeriodMillis: 900,
			}))
			given.SelfCheckPeriodMillis = 900
			entry, config, err := db.Coordination().DescribeNode(ctx, "/local/a/n")
			require.NoError(t, err)
			require.Equal(t, given, *config)
			require.Equal(t, scheme.EntryCoordinationNode, entry.Type)

			require.NoError(t, sugar.MakeRecursive(ctx, db, "a/b/c"))
			exists, err := sugar.IsDirectoryExists(ctx, db.Scheme(), "/local/a/b/c")
			require.NoError(t, err)
			require.True(t, exists)

			require.True(t, ydb.IsOperationErrorSchemeError(db.Scheme().RemoveDirectory(ctx, "/local/a/n")))
			require.NoError(t, db.Coordination().DropNode(ctx, "/local/a/n"))
			require.True(t, ydb.IsOperationErrorSchemeError(db.Coordination().DropNode(ctx, "/local/a/n")))
			require.NoError(t, sugar.RemoveRecursive(ctx, db, "/"))
			root, err := db.Scheme().ListDirectory(ctx, db.Name())
			require.NoError(t, err)
			require.True(t, root.IsDatabase())
			require.Empty(t, root.Children)
		})
	}
}

// A client that asks for another database learns immediately which one is served.
func TestSDK_WrongDatabase(t *testing.T) {
	t.Parallel()
	_, err := ydb.Open(t.Context(), "grpc://"+listen(t, "127.0.0.1")+"/prod", ydb.WithAnonymousCredentials())
	require.ErrorContains(t, err, `database "/prod" is not served here: use "/local"`)
}

// openSDK starts a server and opens the SDK's driver on it.
func openSDK(t *testing.T, host string) *ydb.Driver {
	t.Helper()
	db, err := ydb.Open(t.Context(), "grpc://"+listen(t, host)+"/local", ydb.WithAnonymousCredentials())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close(context.WithoutCancel(t.Context()))) })

	return db
}

// listen starts a server on a free port of a loopback address.
func listen(t *testing.T, host string) string {
	t.Helper()
	lis, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("no loopback address %s: %v", host, err)
	}
	srv, err := server.New()
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	t.Cleanup(func() {
		require.NoError(t, srv.Stop(context.WithoutCancel(t.Context())))
		require.NoError(t, <-served)
	})

	return lis.Addr().String()
}
