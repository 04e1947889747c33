package conformance_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/scheme"

	"tenure/tenuretest"
)

// D1, Z3: the driver reaches the server through discovery at the address of its DSN, with any credentials.
func TestDriver_Discovery(t *testing.T) {
	t.Parallel()
	srv := tenuretest.NewServer(t)
	for name, credentials := range map[string]ydb.Option{
		"anonymous": ydb.WithAnonymousCredentials(),
		"token":     ydb.WithAccessTokenCredentials("secret"),
	} {
		db := openDriver(t, srv.DSN(), credentials)
		require.Equal(t, srv.Database(), db.Name())
		endpoints, err := db.Discovery().Discover(t.Context())
		require.NoError(t, err)
		require.Len(t, endpoints, 1)
		require.True(t, strings.HasPrefix(srv.DSN(), "grpc://"+endpoints[0].Address()+"/"), endpoints[0].Address())
		require.NotEmpty(t, endpoints[0].Location())
		who, err := db.Discovery().WhoAmI(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, who.User)
		require.NoError(t, db.Coordination().CreateNode(t.Context(), "/local/"+name, coordination.NodeConfig{}))
	}
}

// D2: the scheme client creates, describes, lists and removes directories, and sees nodes.
func TestDriver_Scheme(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := openDriver(t, tenuretest.NewServer(t).DSN())
	client := db.Scheme()
	require.NoError(t, client.MakeDirectory(ctx, "/local/a/b"))
	require.NoError(t, client.MakeDirectory(ctx, "/local/a/b"), "a second time")
	require.NoError(t, db.Coordination().CreateNode(ctx, "/local/a/node", coordination.NodeConfig{}))

	d, err := client.ListDirectory(ctx, "/local/a")
	require.NoError(t, err)
	require.Equal(t, "a", d.Name)
	require.Equal(t, scheme.EntryDirectory, d.Type)
	require.Len(t, d.Children, 2)
	require.Equal(t, "b", d.Children[0].Name)
	require.True(t, d.Children[0].IsDirectory())
	require.Equal(t, "node", d.Children[1].Name)
	require.Equal(t, scheme.EntryCoordinationNode, d.Children[1].Type)
	for path, kind := range map[string]scheme.EntryType{
		"/local":        scheme.EntryDatabase,
		"/local/a/":     scheme.EntryDirectory,
		"/local/a/node": scheme.EntryCoordinationNode,
	} {
		entry, err := client.DescribePath(ctx, path)
		require.NoError(t, err)
		require.Equal(t, kind, entry.Type)
		require.NotEmpty(t, entry.Owner)
		require.NotEmpty(t, entry.EffectivePermissions)
	}

	_, err = client.DescribePath(ctx, "/local/none")
	require.True(t, ydb.IsOperationErrorSchemeError(err), err)
	_, err = client.ListDirectory(ctx, "/local/none")
	require.True(t, ydb.IsOperationErrorSchemeError(err), err)
	require.True(t, ydb.IsOperationErrorSchemeError(client.MakeDirectory(ctx, "/local/a/node")))
	require.True(t, ydb.IsOperationErrorSchemeError(client.RemoveDirectory(ctx, "/local/none")))
	require.True(t, ydb.IsOperationErrorSchemeError(client.RemoveDirectory(ctx, "/local/a/node")))
	err = client.RemoveDirectory(ctx, "/local/a")
	require.True(t, ydb.IsOperationError(err, Ydb.StatusIds_PRECONDITION_FAILED), err)

	require.NoError(t, db.Coordination().DropNode(ctx, "/local/a/node"))
	require.NoError(t, client.RemoveDirectory(ctx, "/local/a/b"))
	require.NoError(t, client.RemoveDirectory(ctx, "/local/a"))
	root, err := client.ListDirectory(ctx, "/local")
	require.NoError(t, err)
	require.True(t, root.IsDatabase())
	require.Empty(t, root.Children)
}

// Closing a driver ends its sessions and their leases.
func TestDriver_CloseEndsSessions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	srv := tenuretest.NewServer(t)
	db := openDriver(t, srv.DSN())
	require.NoError(t, db.Coordination().CreateNode(ctx, node, coordination.NodeConfig{}))
	session, err := db.Coordination().Session(ctx, node)
	require.NoError(t, err)
	require.NoError(t, session.CreateSemaphore(ctx, "job", 1))
	lease, err := session.AcquireSemaphore(ctx, "job", 1)
	require.NoError(t, err)

	require.NoError(t, db.Close(ctx))
	require.Error(t, session.Context().Err())
	require.Error(t, lease.Context().Err())
}
