package bench

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/balancers"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"tenure"
)

// A clusterPeer is a way to use locks that are kept in a cluster of etcd. Its connector gets what targets returns.
type clusterPeer struct {
	name    string
	targets func(c *cluster, nodes []clusterNode) []string
	connect connector
}

func clusterPeers() []clusterPeer {
	return []clusterPeer{
		{"etcd-mutex", etcdTargets, connectEtcdMutex},
		{"etcd-txn", etcdTargets, connectEtcd}, // the cheapest lock: see etcdLock
		{"owner", ownerTargets(1), connectTargets},
		{"front", frontTargets, connectTargets},
		{"any", anyTargets, connectAnywhere},
		{"owner-streams", ownerTargets(1), connectTargetStreams},
		{"front-streams", frontTargets, connectTargetStreams},
		{"nodes-streams", ownerTargets(members), connectTargetStreams},
	}
}

func etcdTargets(c *cluster, _ []clusterNode) []string { return c.client.Endpoints() }

// A target is the address of a server, and the path of a node behind it. All clients together use the first n nodes,
// each through the server that serves it.
func ownerTargets(n int) func(*cluster, []clusterNode) []string {
	return func(c *cluster, nodes []clusterNode) (targets []string) {
		for _, n := range nodes[:n] {
			targets = append(targets, c.servers[n.owner].addr+n.path)
		}

		return targets
	}
}

// frontTargets returns one node, behind a server that another one serves.
func frontTargets(c *cluster, nodes []clusterNode) []string {
	return []string{c.servers[(nodes[0].owner+1)%members].addr + nodes[0].path}
}

// anyTargets returns one node, behind each server.
func anyTargets(c *cluster, nodes []clusterNode) (targets []string) {
	for _, s := range c.servers {
		targets = append(targets, s.addr+nodes[0].path)
	}

	return targets
}

// etcdMutex is the lock of etcd's own package, with a session for each client.
type etcdMutex struct{ *clientv3.Client }

func connectEtcdMutex(ctx context.Context, addresses string, _ bool) (connection, error) {
	c, err := clientv3.New(clientv3.Config{
		Endpoints: strings.Split(addresses, ","), Context: ctx, Logger: zap.NewNop(),
	})

	return etcdMutex{c}, err
}

func (e etcdMutex) worker(ctx context.Context, lock string) (pair func() error, err error) {
	s, err := concurrency.NewSession(e.Client)
	if err != nil {
		return nil, err
	}
	m := concurrency.NewMutex(s, lock)

	return func() error {
		if err := m.Lock(ctx); err != nil {
			return err
		}

		return m.Unlock(ctx)
	}, nil
}

// spread is a number of connections, which clients use in turn.
type spread struct {
	each []connection
	next int
}

func (s *spread) worker(ctx context.Context, lock string) (pair func() error, err error) {
	s.next++

	return s.each[(s.next-1)%len(s.each)].worker(ctx, lock)
}

// overTargets opens a connection for each target.
func overTargets(targets string, open func(address, path string) (connection, error)) (connection, error) {
	s := &spread{}
	for target := range strings.SplitSeq(targets, ",") {
		address, path, _ := strings.Cut(target, "/")
		c, err := open(address, "/"+path)
		if err != nil {
			return nil, err
		}
		s.each = append(s.each, c)
	}

	return s, nil
}

// connectTargets opens a client of package tenure for each target, which uses no other server.
func connectTargets(ctx context.Context, targets string, _ bool) (connection, error) {
	return overTargets(targets, func(address, path string) (connection, error) {
		c, err := tenure.Open(ctx, "grpc://"+address+database,
			tenure.WithDriverOptions(ydb.WithBalancer(balancers.SingleConn())))

		return pathClient{c, path}, err
	})
}

// connectAnywhere opens one client of package tenure, which chooses among all servers.
func connectAnywhere(ctx context.Context, targets string, _ bool) (connection, error) {
	target, _, _ := strings.Cut(targets, ",")

	return overTargets(target, func(address, path string) (connection, error) {
		c, err := tenure.Open(ctx, "grpc://"+address+database)

		return pathClient{c, path}, err
	})
}

// pathClient is a client of package tenure for one node. Each lock has a session of its own.
type pathClient struct {
	*tenure.Client

	path string
}

func (t pathClient) worker(ctx context.Context, lock string) (pair func() error, err error) {
	s, err := t.Session(ctx, t.path, options.WithSessionTimeout(time.Minute))
	if err != nil {
		return nil, err
	}

	return func() error {
		l, err := s.AcquireSemaphore(ctx, lock, math.MaxUint64, options.WithEphemeral(true))
		if err != nil {
			return err
		}

		return l.Release()
	}, nil
}

// pathStreams is like streams, for one node.
type pathStreams struct {
	*client

	path string
}

func connectTargetStreams(ctx context.Context, targets string, _ bool) (connection, error) {
	return overTargets(targets, func(address, path string) (connection, error) {
		c, err := connect(ctx, address)

		return pathStreams{c, path}, err
	})
}

func (s pathStreams) worker(_ context.Context, lock string) (pair func() error, err error) {
	own, err := s.attachTo(s.path, 0, time.Minute)
	if err != nil {
		return nil, err
	}

	return func() error {
		if err := own.acquire(lock); err != nil {
			return err
		}

		return own.release(lock)
	}, nil
}

// BenchmarkClusterPairs measures how many locks are acquired and released over a cluster of etcd: with etcd's own
// locks, and through servers of tenure that share it. Each client has its own lock. "owner" is the server that serves
// the node, "front" is another one, and "any" are all of them. One op takes a fixed time, so run it with -benchtime 1x.
func BenchmarkClusterPairs(b *testing.B) {
	c := startCluster(b, false)
	nodes := c.each(b)
	for _, p := range clusterPeers() {
		b.Run("peer="+p.name, func(b *testing.B) {
			for _, n := range clusterCrowds() {
				b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
					benchmarkClusterPairs(b, c, p, strings.Join(p.targets(c, nodes), ","), n)
				})
			}
		})
	}
}

func clusterCrowds() []int {
	if testing.Short() {
		return []int{4}
	}

	return []int{1, 16, 64, 256}
}

func benchmarkClusterPairs(b *testing.B, c *cluster, p clusterPeer, targets string, clients int) {
	b.Helper()
	warmUp, window := 300*time.Millisecond, time.Second
	if testing.Short() {
		warmUp, window = 0, 5*time.Millisecond
	}
	l := startLoad(b, p.name, targets, crowd{clients: clients})
	defer l.stop(b)
	l.run(b, warmUp)
	var sum loadResult
	var etcd, servers time.Duration
	for range b.N {
		etcdBefore, before := usedBy(b, c.etcd), usedBy(b, c.servers)
		sum.add(l.run(b, window))
		etcd += usedBy(b, c.etcd) - etcdBefore
		servers += usedBy(b, c.servers) - before
	}
	require.NotZero(b, sum.Pairs)
	pairs := float64(sum.Pairs)
	b.ReportMetric(0, "ns/op") // is the fixed time
	b.ReportMetric(pairs/sum.Elapsed.Seconds(), "pairs/s")
	b.ReportMetric(float64(etcd)/pairs, "etcd-cpu-ns/pair")
	b.ReportMetric(float64(servers)/pairs, "server-cpu-ns/pair")
	b.ReportMetric(float64(sum.CPU)/pairs, "client-cpu-ns/pair")
	b.ReportMetric(float64(sum.P50)/float64(b.N), "p50-ns")
	b.ReportMetric(float64(sum.P99)/float64(b.N), "p99-ns")
}

// usedBy returns the CPU time that processes have used since their start.
func usedBy(b *testing.B, all []*daemon) (sum time.Duration) {
	b.Helper()
	for _, d := range all {
		sum += d.processorTime(b)
	}

	return sum
}
