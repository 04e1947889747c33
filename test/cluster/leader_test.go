package cluster_test

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/test/cluster/clustertest"
)

// transactions returns how many transactions a member has received.
func transactions(t *testing.T, m *clustertest.Member) (n float64) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.URL+"/metrics", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "} ")
		if strings.HasPrefix(name, "grpc_server_started_total") && strings.Contains(name, `grpc_method="Txn"`) {
			n, err = strconv.ParseFloat(value, 64)
			require.NoError(t, err)
		}
	}

	return n
}

// Servers send their transactions to the leader of etcd, also after it has changed.
func TestServers_UseTheLeader(t *testing.T) {
	t.Parallel()
	c := clustertest.Start(t, clustertest.Options{Servers: 1, Direct: true})
	client := pinned(t, c.Servers[0])
	require.NoError(t, client.CreateNode(t.Context(), nodePath, coordination.NodeConfig{}))
	s, err := client.Session(t.Context(), nodePath)
	require.NoError(t, err)
	pairs := func(n int) {
		for range n {
			lease, err := s.AcquireSemaphore(t.Context(), "lock", 1, options.WithEphemeral(true))
			require.NoError(t, err)
			require.NoError(t, lease.Release())
		}
	}
	// requireLeader waits until five pairs in a row cause transactions of the leader only.
	requireLeader := func(leader *clustertest.Member) {
		require.Eventually(t, func() bool {
			others := func() (n float64) {
				for _, m := range c.Members {
					if m != leader && m.Running() {
						n += transactions(t, m)
					}
				}

				return n
			}
			before, own := others(), transactions(t, leader)
			pairs(5)

			return others() == before && transactions(t, leader) >= own+10
		}, soon, time.Millisecond)
	}
	first := c.AwaitLeader(nil)
	requireLeader(first)
	first.Kill()
	requireLeader(c.AwaitLeader(first))
}
