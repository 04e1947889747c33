package bench

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"tenure/internal/ownership"
	"tenure/internal/store"
)

// envEtcd names the program of etcd. Without it, benchmarks that need a cluster build etcd, except with -short.
const envEtcd = "TENURE_ETCD_PROGRAM"

// members is the number of members of etcd, and of servers of tenure, in a cluster.
const members = 3

// cluster is a cluster of etcd, and servers of tenure that keep their data in it. Each of them is a process.
type cluster struct {
	client *clientv3.Client // of all members

	etcd    []*daemon
	servers []*daemon
	hosts   []*host // the same as servers, or nil
	nodes   int     // that exist
}

// startCluster starts a cluster, which ends with the benchmark. With hosts, or -profiles, its servers run in
// processes of this test binary. Otherwise they are tenure serve.
func startCluster(b *testing.B, hosts bool) *cluster {
	b.Helper()
	path := os.Getenv(envEtcd)
	if path == "" && testing.Short() {
		b.Skipf("not with -short, unless %s names the program of etcd", envEtcd)
	}
	if path == "" {
		path = program(b, ".", "go.etcd.io/etcd/server/v3")
	}
	c := &cluster{}
	urls := c.startEtcd(b, path)
	var err error
	c.client, err = clientv3.New(clientv3.Config{Endpoints: urls, Logger: zap.NewNop()})
	require.NoError(b, err)
	b.Cleanup(func() { _ = c.client.Close() })
	c.await(b)
	for range members {
		c.startServer(b, strings.Join(urls, ","), hosts || *profiles != "")
	}

	return c
}

// await waits until the members have a leader.
func (c *cluster) await(b *testing.B) {
	b.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		_, err := c.client.Get(ctx, "ready")
		cancel()
		if err == nil {
			return
		}
		require.True(b, time.Now().Before(deadline), "etcd does not answer: %v", err)
	}
}

// startEtcd starts the members of etcd and returns their URLs.
func (c *cluster) startEtcd(b *testing.B, path string) (urls []string) {
	b.Helper()
	var peers, initial []string
	for i := range members {
		urls = append(urls, "http://"+freeAddress(b))
		peers = append(peers, "http://"+freeAddress(b))
		initial = append(initial, strconv.Itoa(i)+"="+peers[i])
	}
	for i := range members {
		c.etcd = append(c.etcd, startServer(b, strings.TrimPrefix(urls[i], "http://"), path,
			"--name", strconv.Itoa(i), "--data-dir", b.TempDir(), "--log-level", "error",
			"--listen-client-urls", urls[i], "--advertise-client-urls", urls[i],
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(initial, ",")))
	}

	return urls
}

func (c *cluster) startServer(b *testing.B, urls string, inHost bool) {
	b.Helper()
	if !inHost {
		c.servers = append(c.servers, startTenure(b, "--etcd", urls))

		return
	}
	h := startHost(b, shared, urls)
	b.Cleanup(func() { h.stop(b) })
	c.hosts = append(c.hosts, h)
	c.servers = append(c.servers, &daemon{addr: h.addr, pid: h.cmd.Process.Pid})
}

// commit returns a function that makes one change in etcd.
func (c *cluster) commit(b *testing.B) func() error {
	b.Helper()
	value := strings.Repeat("x", 100)

	return func() error {
		_, err := c.client.Txn(b.Context()).Then(clientv3.OpPut("commit", value)).Commit()

		return err
	}
}

// A clusterNode is a coordination node of a cluster.
type clusterNode struct {
	path  string
	owner int // the index of the server that serves it
}

// node creates a node and uses it through a server, so that it gets an owner. It returns which one.
func (c *cluster) node(b *testing.B, through int) clusterNode {
	b.Helper()
	n := clusterNode{path: nodePath + "-" + strconv.Itoa(c.nodes)}
	c.nodes++
	client := dial(b, c.servers[through].addr) // which creates another node
	made, err := client.stub.CreateNode(client.ctx, &Ydb_Coordination.CreateNodeRequest{Path: n.path})
	require.NoError(b, err)
	require.Equal(b, Ydb.StatusIds_SUCCESS, made.GetOperation().GetStatus())
	s, err := client.attachTo(n.path, 0, time.Minute)
	require.NoError(b, err)
	require.NoError(b, s.acquire("first"))
	s.cancel()

	space := store.Space(c.nodes + 1) // the spaces are numbered, and the first is that of the node that dial creates
	own, err := c.client.Get(b.Context(), prefix+ownership.OwnerKey(space))
	require.NoError(b, err)
	require.Len(b, own.Kvs, 1)
	owner, err := ownership.DecodeOwner(ownership.KV{Value: own.Kvs[0].Value})
	require.NoError(b, err)
	server, err := c.client.Get(b.Context(), prefix+ownership.ServerKey(owner.Server))
	require.NoError(b, err)
	require.Len(b, server.Kvs, 1)
	var m store.Member
	require.NoError(b, json.Unmarshal(server.Kvs[0].Value, &m))
	n.owner = slices.IndexFunc(c.servers, func(d *daemon) bool { return strings.Contains(m.Address, d.addr) })
	require.GreaterOrEqual(b, n.owner, 0, "no server has the address %q", m.Address)

	return n
}

// each returns a node for each server that serves it. The servers decide who serves a node, so more may be made.
func (c *cluster) each(b *testing.B) []clusterNode {
	b.Helper()
	have := make([]clusterNode, len(c.servers))
	for found, tries := 0, 0; found < len(have); tries++ {
		require.Less(b, tries, 100, "one server serves nothing")
		if n := c.node(b, tries%len(have)); have[n.owner].path == "" {
			have[n.owner] = n
			found++
		}
	}

	return have
}

// prefix is that of all keys of tenure serve.
const prefix = "/tenure/"
