package cluster_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/test/cluster/clustertest"
)

// A fault happens to a cluster whose clients work.
type fault struct {
	name string
	// happens lets the fault happen, and returns when it is over.
	happens func(s *stage)
	long    bool // is left out of the short variant
	loses   bool // sessions of the usual timeout may be lost
}

// away is how long a connection or a quorum is away. It is less than what a session of the usual timeout endures.
const away = 3 * time.Second

// standstill is how long a machine may stand still in a fault whose sessions must not be lost. A pause of the machine
// is a fault of its own.
const standstill = time.Second

// groups are faults of one cluster, one after the other.
var groups = map[string][]fault{
	"servers": {
		{name: "kill -9 of the owner", happens: killOwner},
		{name: "kill -9 of a front", happens: killFront},
		{name: "SIGSTOP of the owner", happens: stopOwner},
		{name: "SIGSTOP of an owner that others only read from", happens: stopReader, long: true},
		{name: "etcd revokes the lease of an owner that is cut off from it", happens: revokeLease},
		{name: "rolling restart of the servers", happens: rollServers},
	},
	"connections": {
		{name: "cut from the owner to etcd", happens: func(s *stage) { s.ownerWithoutEtcd(clustertest.Edges.Cut) }},
		{name: "black hole from the owner to etcd", happens: func(s *stage) {
			s.ownerWithoutEtcd(clustertest.Edges.Silence)
		}},
		{name: "cut from a front to etcd", happens: func(s *stage) {
			s.edges(clustertest.Edges.Cut, func(_, front *clustertest.Server) clustertest.Edges { return front.Etcd })
		}},
		{name: "cut from the clients to a front", happens: func(s *stage) {
			s.edges(clustertest.Edges.Cut, func(_, front *clustertest.Server) clustertest.Edges {
				return clustertest.Edges{front.Clients}
			})
		}},
		{name: "cut from the fronts to the owner", happens: func(s *stage) {
			s.edges(clustertest.Edges.Cut, func(owner, _ *clustertest.Server) clustertest.Edges {
				return clustertest.Edges{owner.Peers}
			})
		}},
		{name: "black hole from the clients to a front", happens: func(s *stage) {
			s.edges(clustertest.Edges.Silence, func(_, front *clustertest.Server) clustertest.Edges {
				return clustertest.Edges{front.Clients}
			})
		}},
		{name: "black hole from the fronts to the owner", happens: func(s *stage) {
			s.edges(clustertest.Edges.Silence, func(owner, _ *clustertest.Server) clustertest.Edges {
				return clustertest.Edges{owner.Peers}
			})
		}},
		{name: "slow connections", happens: slow},
	},
	"etcd": {
		{name: "kill -9 of the leader of etcd", happens: killLeader},
		{name: "SIGSTOP of the leader of etcd", happens: stopLeader},
		{name: "cut from the leader of etcd to the other members", happens: isolateLeader},
		{name: "SIGSTOP of a member of etcd", happens: stopFollower},
		{name: "etcd without a quorum", happens: stopQuorum},
		{name: "etcd out of space", happens: fill},
		{name: "compaction", happens: compact},
		{name: "kill -9 of the owner and of the leader of etcd", happens: killBoth, long: true, loses: true},
		{name: "rolling restart of etcd", happens: rollEtcd, long: true},
	},
}

// TestFaults lets one fault after the other happen to clusters whose clients work. Two clients never believe to hold
// the same lock, no acknowledged change is lost, tokens rise, the history is linearizable, and no session is lost. With
// TENURE_CLUSTER_RUNS=N, each fault happens N times.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, faults := range groups {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, clustertest.Options{MemberFlags: []string{"--quota-backend-bytes", strconv.Itoa(quota)}})
			for range runs() {
				for _, f := range faults {
					if !f.long || runs() > 1 {
						t.Run(f.name, func(t *testing.T) { f.run(s, t) })
					}
				}
			}
			for _, f := range faults {
				t.Log(row(f.name, s.gaps[f.name]))
			}
			require.NoError(t, s.finish())
			t.Logf("%d turns of locks, %d turns of COMMANDs, %d operations", s.witness.turns, s.locks.turns.Load(),
				len(s.history.ops))
		})
	}
}

func runs() int {
	n, err := strconv.Atoi(os.Getenv("TENURE_CLUSTER_RUNS"))
	if err != nil {
		return 1
	}

	return n
}

func (f *fault) run(s *stage, t *testing.T) { //nolint:thelper // it is the test
	outer := s.T
	s.T = t
	defer func() { s.T = outer }()
	s.stall.take()
	lost, from := len(s.lostSessions()), s.history.now()
	f.happens(s)
	s.calm()
	g := s.service.between(from, s.history.now())
	s.gaps[f.name] = append(s.gaps[f.name], g)
	stood := s.stall.take()
	if gone := s.lostSessions()[lost:]; f.loses || stood > standstill {
		t.Logf("%d sessions were lost; this process stood still for %v", len(gone), stood)
	} else {
		require.Empty(t, gone, "sessions that were lost")
	}
	require.NoError(t, s.check())
}

// anywhere accepts the clients that may use all servers, and wait for nobody else.
func anywhere(c *client) bool { return c.front == nil && c.kind != contender }

// changes accepts the clients that change something now and then.
func changes(c *client) bool { return c.kind == writer || c.kind == contender }

// replaced waits until another server has replaced the owner and serves clients.
func (s *stage) replaced(owner *clustertest.Server) {
	s.Helper()
	s.until("another server owns the node", func() bool {
		now := s.Owner(faultsNode)

		return now != nil && now != owner
	})
	s.progress(anywhere)
}

func killOwner(s *stage) {
	owner := s.AwaitOwner(faultsNode)
	owner.Kill()
	s.replaced(owner)
	owner.Restart()
}

func killFront(s *stage) {
	front := s.Others(s.AwaitOwner(faultsNode))[0]
	front.Kill()
	s.progress(anywhere)
	front.Restart()
}

// stopOwner continues the owner when clients that it has served still wait for it, and others have been served by
// another server for a while.
func stopOwner(s *stage) {
	owner := s.AwaitOwner(faultsNode)
	owner.Suspend()
	s.replaced(owner)
	s.askAgain(owner)
	owner.Resume()
}

// askAgain waits until the client that reads from the server alone has begun a request after one that has begun now.
func (s *stage) askAgain(server *clustertest.Server) {
	for _, c := range s.clients {
		if asked := c.asks.Load(); c.front == server && c.kind == reader {
			s.until(c.name+" asks again", func() bool { return c.asks.Load() > asked+1 })
		}
	}
}

// stopReader stops an owner that gets only requests which change nothing, as long as it stands still. Only the proof
// keeps it from answering them when it continues.
func stopReader(s *stage) { s.readers((*clustertest.Server).Suspend, (*clustertest.Server).Resume) }

// revokeLease lets etcd revoke the lease of an owner that believes to have it, because it is cut off from etcd.
func revokeLease(s *stage) {
	s.readers(func(owner *clustertest.Server) {
		owner.Etcd.Silence()
		s.RevokeLease(owner)
	}, func(owner *clustertest.Server) { owner.Etcd.Heal() })
}

// readers lets a fault happen to an owner while it gets only requests that change nothing.
func (s *stage) readers(strike, mend func(owner *clustertest.Server)) {
	owner := s.AwaitOwner(faultsNode)
	others := func(c *client) bool { return c.kind == writer && c.front != nil && c.front != owner }
	s.locks.gate.Lock()
	defer s.locks.gate.Unlock()
	s.mute(changes, true)
	strike(owner)
	s.until("another server owns the node", func() bool {
		now := s.Owner(faultsNode)

		return now != nil && now != owner
	})
	s.mute(others, false)
	s.progress(others)
	s.askAgain(owner)
	mend(owner)
	s.progress(func(c *client) bool { return c.kind == reader })
	s.mute(changes, false)
}

// mute keeps the clients that the function accepts from changing anything, or lets them go on.
func (s *stage) mute(of func(*client) bool, mute bool) {
	for _, c := range s.clients {
		if of(c) {
			c.mute.Store(mute)
		}
	}
	for _, c := range s.clients {
		if of(c) {
			s.until(c.name+" changes nothing, or goes on", func() bool { return c.idle.Load() == mute })
		}
	}
}

func rollServers(s *stage) {
	for _, server := range s.Servers {
		require.Equal(s, 0, server.Terminate())
		server.Restart()
		s.calm()
	}
}

func (s *stage) ownerWithoutEtcd(breaks func(clustertest.Edges)) {
	owner := s.AwaitOwner(faultsNode)
	breaks(owner.Etcd)
	s.replaced(owner)
	owner.Etcd.Heal()
	s.until("the server is ready", owner.Ready)
}

// edges breaks some connections for a while.
func (s *stage) edges(
	breaks func(clustertest.Edges), choose func(owner, front *clustertest.Server) clustertest.Edges,
) {
	owner := s.AwaitOwner(faultsNode)
	edges := choose(owner, s.Others(owner)[0])
	breaks(edges)
	s.lasts(away)
	edges.Heal()
}

func slow(s *stage) {
	const by = 20 * time.Millisecond
	for _, server := range s.Servers {
		edges := append(clustertest.Edges{server.Clients, server.Peers}, server.Etcd...)
		edges.Slow(by)
		defer edges.Heal()
	}
	s.calm()
}

func killLeader(s *stage) {
	leader := s.AwaitLeader(nil)
	leader.Kill()
	s.AwaitLeader(leader)
	s.progress(anywhere)
	leader.Start()
	leader.Await()
}

// killBoth leaves the owner's registration to the next leader, which starts its time again.
func killBoth(s *stage) {
	leader, owner := s.AwaitLeader(nil), s.AwaitOwner(faultsNode)
	leader.Kill()
	owner.Process.Kill() // as if its machine had died: nothing refuses connections
	s.replaced(owner)
	leader.Start()
	leader.Await()
	owner.Restart()
}

func stopLeader(s *stage) { s.memberStops(s.AwaitLeader(nil)) }

// isolateLeader leaves the leader to the servers, which it believes to lead until it has not heard from the other
// members for a while.
func isolateLeader(s *stage) {
	leader := s.AwaitLeader(nil)
	leader.Isolate()
	s.lasts(away)
	s.AwaitLeader(leader)
	s.progress(anywhere)
	leader.Rejoin()
	leader.Await()
}

func stopFollower(s *stage) {
	leader := s.AwaitLeader(nil)
	i := slices.IndexFunc(s.Members, func(m *clustertest.Member) bool { return m != leader })
	s.memberStops(s.Members[i])
}

// memberStops lets a member of etcd stand still until its connections have been given up.
func (s *stage) memberStops(m *clustertest.Member) {
	m.Suspend()
	s.lasts(away)
	s.progress(anywhere)
	m.Resume()
	m.Await()
}

func stopQuorum(s *stage) {
	for _, m := range s.Members[1:] {
		m.Suspend()
	}
	s.lasts(away)
	for _, m := range s.Members[1:] {
		m.Resume()
	}
	s.AwaitLeader(nil)
}

func rollEtcd(s *stage) {
	for _, m := range s.Members {
		m.Terminate()
		s.progress(anywhere)
		m.Start()
		m.Await()
	}
}

// quota is what etcd may store. The junk that fills it up consists of values that are as large as etcd allows.
const (
	quota = 24 << 20
	piece = 1 << 20
	junk  = "/junk/"
)

func fill(s *stage) {
	c := s.Client()
	for i := 0; ; i++ {
		if _, err := c.Put(s.ctx, fmt.Sprint(junk, i), strings.Repeat("x", piece)); err != nil {
			require.ErrorContains(s, err, "database space exceeded")

			break
		}
	}
	for _, server := range s.Servers {
		s.until("the server is not ready", func() bool { return !server.Ready() })
	}
	r, err := c.Delete(s.ctx, junk, clientv3.WithPrefix())
	require.NoError(s, err)
	_, err = c.Compact(s.ctx, r.Header.Revision, clientv3.WithCompactPhysical())
	require.NoError(s, err)
	for _, m := range s.Members {
		_, err = c.Defragment(s.ctx, m.URL)
		require.NoError(s, err)
	}
	_, err = c.AlarmDisarm(s.ctx, new(clientv3.AlarmMember))
	require.NoError(s, err)
	for _, server := range s.Servers {
		s.until("the server is ready", server.Ready)
	}
}

// compact compacts etcd under the watches of all servers, and then while one of them stands still and misses changes.
func compact(s *stage) {
	now := func() int64 {
		r, err := s.Client().Get(s.ctx, "a key")
		require.NoError(s, err)

		return r.Header.Revision
	}
	_, err := s.Client().Compact(s.ctx, now())
	require.NoError(s, err)

	owner := s.AwaitOwner(faultsNode)
	late := s.Others(owner)[0]
	there, here := pinned(s.T, owner), pinned(s.T, late)
	create := func(name string) string {
		path := "/local/" + name + strconv.FormatInt(now(), 10)
		require.NoError(s, there.CreateNode(s.ctx, path, coordination.NodeConfig{}))

		return path
	}
	old := create("old")
	_, _, err = here.DescribeNode(s.ctx, old)
	require.NoError(s, err)
	late.Suspend()
	fresh := create("fresh")
	require.NoError(s, there.DropNode(s.ctx, old))
	_, err = s.Client().Compact(s.ctx, now())
	require.NoError(s, err)
	s.lasts(away)
	late.Resume()
	_, _, err = here.DescribeNode(s.ctx, fresh)
	require.NoError(s, err)
	_, _, err = here.DescribeNode(s.ctx, old)
	require.ErrorContains(s, err, "does not exist")
}
