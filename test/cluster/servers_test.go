package cluster_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/balancers"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/test/cluster/clustertest"
)

// nodePath is the coordination node of the tests, and its path in the database.
const (
	nodePath   = "/local/" + faultsNode
	faultsNode = "faults"
)

// pinned returns a client that uses one front only.
func pinned(t *testing.T, front *clustertest.Server) *tenure.Client {
	t.Helper()
	c, err := tenure.Open(t.Context(), front.DSN(), tenure.WithDriverOptions(ydb.WithBalancer(balancers.SingleConn())))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(t.Context()) })

	return c
}

// Each server is a front, and a killed owner is replaced.
func TestServers(t *testing.T) {
	t.Parallel()
	c := clustertest.Start(t, clustertest.Options{})
	require.NoError(t, pinned(t, c.Servers[0]).CreateNode(t.Context(), nodePath, coordination.NodeConfig{}))
	require.Nil(t, c.Owner(faultsNode))
	for _, front := range c.Servers {
		s, err := pinned(t, front).Session(t.Context(), nodePath)
		require.NoError(t, err)
		lease, err := s.AcquireSemaphore(t.Context(), "lock", 1, options.WithEphemeral(true))
		require.NoError(t, err)
		require.NoError(t, lease.Release())
	}
	owner := c.AwaitOwner(faultsNode)
	owner.Kill()
	s, err := pinned(t, c.Others(owner)[0]).Session(t.Context(), nodePath)
	require.NoError(t, err)
	require.NoError(t, s.Close(t.Context()))
	require.NotEqual(t, owner, c.AwaitOwner(faultsNode))
	owner.Restart()
	require.True(t, owner.Ready())
}
