package cluster_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure"
	"tenure/internal/ownership"
	"tenure/test/cluster/clustertest"
)

var movesNodes = flag.Int("moves.nodes", 30, "how many nodes TestMoves_ManyNodes moves")

var movesRuns = flag.Int("moves.runs", 1, "how often TestMoves_Figures moves a node in each way")

// prober uses a node all the time, through one server.
type prober struct {
	name string

	mu   sync.Mutex // guards done
	done []time.Time
}

// probe acquires and releases a semaphore of its own until ctx ends.
func (p *prober) probe(ctx context.Context, c *tenure.Client) {
	for ctx.Err() == nil {
		session, err := c.Session(ctx, nodePath, options.WithSessionTimeout(usual))
		if err != nil {
			continue
		}
		for ctx.Err() == nil && session.Context().Err() == nil {
			lease, err := session.AcquireSemaphore(ctx, p.name, 1, options.WithEphemeral(true))
			if err == nil {
				err = lease.Release()
			}
			if err == nil {
				p.mu.Lock()
				p.done = append(p.done, time.Now())
				p.mu.Unlock()
			}
		}
		_ = session.Close(context.WithoutCancel(ctx))
	}
}

// longest returns the longest time without an answer since the given one.
func (p *prober) longest(since time.Time) (gap time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := since
	for _, at := range p.done {
		if at.After(since) {
			gap = max(gap, at.Sub(last))
			last = at
		}
	}

	return max(gap, time.Since(last))
}

// owners returns how many nodes each server owns, by its id.
func owners(t *testing.T, c *clustertest.Cluster) map[string]int {
	t.Helper()
	r, err := c.Client().Get(t.Context(), "/tenure/"+ownership.OwnerKeys, clientv3.WithPrefix())
	require.NoError(t, err)
	all := make(map[string]int)
	for _, kv := range r.Kvs {
		o, err := ownership.DecodeOwner(ownership.KV{Key: string(kv.Key), Value: kv.Value})
		require.NoError(t, err)
		all[o.Server]++
	}

	return all
}

// TestMoves_ManyNodes measures how long it takes until a server that joins has its share of many nodes, and until one
// that stops has none. Nobody may lose a lease.
func TestMoves_ManyNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	c := clustertest.Start(t, clustertest.Options{Direct: true})
	joins := c.Servers[2]
	joins.Terminate()
	client, err := tenure.Open(t.Context(), c.Servers[0].DSN())
	require.NoError(t, err)
	defer func() { _ = client.Close(context.WithoutCancel(t.Context())) }()
	var leases []coordination.Lease
	for i := range *movesNodes {
		path := fmt.Sprint("/local/n", i)
		require.NoError(t, client.CreateNode(t.Context(), path, coordination.NodeConfig{}))
		s, err := client.Session(t.Context(), path, options.WithSessionTimeout(patient))
		require.NoError(t, err)
		lease, err := s.AcquireSemaphore(t.Context(), "kept", 1, options.WithEphemeral(true))
		require.NoError(t, err)
		leases = append(leases, lease)
	}
	kept := func() {
		t.Helper()
		for _, lease := range leases {
			require.NoError(t, lease.Context().Err())
		}
	}
	before := owners(t, c)
	joins.Restart()
	var first, last time.Time
	for quiet := 0; first.IsZero() || quiet < 40; quiet++ {
		if now := owners(t, c); !maps.Equal(now, before) {
			before, last, quiet = now, time.Now(), 0
			if first.IsZero() {
				first = last
			}
		}
		kept()
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("%d nodes: a server that joins has its share %v after the first has moved: %v", *movesNodes,
		last.Sub(first).Round(time.Millisecond), slices.Sorted(maps.Values(before)))
	began := time.Now()
	require.Zero(t, joins.Terminate())
	t.Logf("one that stops has ended after %v", time.Since(began).Round(time.Millisecond))
	require.Eventually(t, func() bool { return len(owners(t, c)) == 2 }, time.Minute, 50*time.Millisecond)
	t.Logf("all nodes are served again after %v", time.Since(began).Round(time.Millisecond))
	kept()
}

// A server that is started and killed again and again does not keep the others from serving. Nodes do not move to it.
func TestMoves_Flapping(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	c := clustertest.Start(t, clustertest.Options{Direct: true})
	require.NoError(t, pinned(t, c.Servers[0]).CreateNode(t.Context(), nodePath, coordination.NodeConfig{}))
	keeper, err := tenure.Open(t.Context(), c.Servers[0].DSN())
	require.NoError(t, err)
	defer func() { _ = keeper.Close(context.WithoutCancel(t.Context())) }()
	s, err := keeper.Session(t.Context(), nodePath, options.WithSessionTimeout(usual))
	require.NoError(t, err)
	lease, err := s.AcquireSemaphore(t.Context(), "kept", 1, options.WithEphemeral(true))
	require.NoError(t, err)
	home := c.AwaitOwner(faultsNode)
	stable := c.Others(home)
	client, err := tenure.Open(t.Context(), stable[0].DSN())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	p := &prober{name: "prober"}
	running.Go(func() {
		p.probe(ctx, client)
		_ = client.Close(context.WithoutCancel(ctx))
	})
	home.Kill()
	began := time.Now()
	for range 8 {
		home.Restart()
		time.Sleep(time.Second)
		home.Kill()
	}
	t.Logf("without service: %v", p.longest(began).Round(time.Millisecond))
	require.Less(t, p.longest(began), usual/2)
	require.NoError(t, lease.Context().Err())
}

// TestMoves_Figures measures for how long a node is not served when its server stops, dies or changes because another
// one has joined. Nobody may lose a lease. A quiet machine and many runs give figures that can be published:
//
//	go test -run TestMoves_Figures -v -timeout 0 -moves.runs 30
func TestMoves_Figures(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	c := clustertest.Start(t, clustertest.Options{Direct: true})
	require.NoError(t, pinned(t, c.Servers[0]).CreateNode(t.Context(), nodePath, coordination.NodeConfig{}))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	keeper, err := tenure.Open(t.Context(), c.Servers[0].DSN())
	require.NoError(t, err)
	session, err := keeper.Session(t.Context(), nodePath, options.WithSessionTimeout(usual))
	require.NoError(t, err)
	lease, err := session.AcquireSemaphore(t.Context(), "kept", 1, options.WithEphemeral(true))
	require.NoError(t, err)

	var probers []*prober
	for i := range 6 { // each learns of all servers, and uses one of them
		client, err := tenure.Open(t.Context(), c.Servers[i%3].DSN())
		require.NoError(t, err)
		p := &prober{name: fmt.Sprint("prober ", i)}
		probers = append(probers, p)
		running.Go(func() {
			p.probe(ctx, client)
			_ = client.Close(context.WithoutCancel(ctx))
		})
	}
	figures := make(map[string][]time.Duration)
	measure := func(what string, event func() (began time.Time)) {
		t.Helper()
		began := event()
		time.Sleep(4 * time.Second) // more than a lease of etcd
		var worst time.Duration
		var all []string
		for _, p := range probers {
			gap := p.longest(began)
			worst = max(worst, gap)
			all = append(all, gap.Round(time.Millisecond).String())
		}
		t.Logf("%s: %v", what, all)
		figures[what] = append(figures[what], worst)
		require.NoError(t, lease.Context().Err(), "the lease is kept")
	}
	home := c.AwaitOwner(faultsNode)
	// A server that has just started may not know all others, and use a node that another one should have. After ten
	// seconds, the node moves there.
	for since := time.Now(); time.Since(since) < 12*time.Second; time.Sleep(100 * time.Millisecond) {
		if now := c.AwaitOwner(faultsNode); now != home {
			home, since = now, time.Now()
		}
	}
	restart := func() {
		measure("join", func() (began time.Time) {
			home.Restart()
			restarted := time.Now()
			for c.Owner(faultsNode) != home { // it is the one that should have the node
				began = time.Now()
				require.Less(t, began.Sub(restarted), time.Minute, "the node has not moved")
				require.NoError(t, lease.Context().Err())
				time.Sleep(time.Millisecond)
			}

			return began.Add(-100 * time.Millisecond)
		})
	}
	for range *movesRuns {
		measure("SIGTERM", func() time.Time {
			began := time.Now()
			require.Zero(t, home.Terminate())

			return began
		})
		restart()
		measure("kill -9", func() time.Time {
			began := time.Now()
			home.Kill()

			return began
		})
		restart()
	}
	for what, all := range figures {
		slices.Sort(all)
		t.Logf("%-8s without service: shortest %v, middle %v, longest %v, %d times", what,
			all[0].Round(time.Millisecond), all[len(all)/2].Round(time.Millisecond),
			all[len(all)-1].Round(time.Millisecond), len(all))
		require.Less(t, all[0], 2*time.Second, "%s does not wait for a lease", what)
	}
}
