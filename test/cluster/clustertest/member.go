package clustertest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"tenure/internal/relaytest"
)

// Member is a member of the etcd cluster.
type Member struct {
	*Process

	URL  string // for clients, without a relay
	host string // of the URL
	id   uint64 // in etcd

	peers  *relaytest.Relay // from the other members; nil: these reach it directly
	others []*Member
}

// startMembers starts an etcd cluster and waits until it answers.
func startMembers(tb testing.TB, n int, o Options) []*Member {
	tb.Helper()
	program, err := EtcdProgram()
	require.NoError(tb, err)
	members, listen, peers, all := make([]*Member, n), make([]string, n), make([]string, n), make([]string, n)
	for i := range n {
		members[i] = new(Member)
		listen[i] = relaytest.FreeAddress(tb)
		peers[i] = listen[i]
		if !o.Direct {
			members[i].peers = relaytest.New(tb, listen[i])
			peers[i] = members[i].peers.Address()
		}
		all[i] = fmt.Sprintf("m%d=http://%s", i, peers[i])
	}
	for i := range n {
		host := relaytest.FreeAddress(tb)
		m := members[i]
		m.host, m.URL = host, "http://"+host
		m.Process = newProcess(tb, fmt.Sprint("etcd ", i), append([]string{
			program, "--name", fmt.Sprint("m", i), "--data-dir", tb.TempDir(), "--log-level", "error",
			"--listen-client-urls", m.URL, "--advertise-client-urls", m.URL,
			"--listen-peer-urls", "http://" + listen[i], "--initial-advertise-peer-urls", "http://" + peers[i],
			"--initial-cluster", strings.Join(all, ","), "--unsafe-no-fsync",
		}, o.MemberFlags...), nil)
		m.Start()
		for j, other := range members {
			if j != i {
				m.others = append(m.others, other)
			}
		}
	}
	for _, m := range members {
		m.Await()
	}

	return members
}

// Await waits until the member answers a linearizable read.
func (m *Member) Await() {
	m.t.Helper()
	c := newClient(m.t, m.URL)
	until(m.t, m.Name+" answers", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), soon/10)
		defer cancel()
		if _, err := c.Get(ctx, "a key"); err != nil {
			return false
		}
		status, err := c.Status(ctx, m.URL)
		if err == nil {
			m.id = status.Header.MemberId
		}

		return err == nil
	})
}

// Isolate cuts the member off from the other members until Rejoin is called. Its clients still reach it.
func (m *Member) Isolate() {
	m.peers.Cut()
	for _, other := range m.others {
		other.peers.Refuse(func(client net.Conn) bool { return m.has(client.RemoteAddr()) })
	}
}

// Rejoin undoes Isolate.
func (m *Member) Rejoin() {
	m.t.Helper()
	m.peers.Heal()
	for _, other := range m.others {
		other.peers.Refuse(nil)
	}
}

// newClient returns a client of members.
func newClient(tb testing.TB, urls ...string) *clientv3.Client {
	tb.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: urls, Logger: zap.NewNop()})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = c.Close() })

	return c
}
