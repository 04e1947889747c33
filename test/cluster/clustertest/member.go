package clustertest

import (
	"context"
	"fmt"
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
}

// startMembers starts an etcd cluster and waits until it answers.
func startMembers(tb testing.TB, n int, flags []string) []*Member {
	tb.Helper()
	program, err := EtcdProgram()
	require.NoError(tb, err)
	members, peers, all := make([]*Member, n), make([]string, n), make([]string, n)
	for i := range n {
		peers[i] = "http://" + relaytest.FreeAddress(tb)
		all[i] = fmt.Sprintf("m%d=%s", i, peers[i])
	}
	for i := range n {
		host := relaytest.FreeAddress(tb)
		m := &Member{host: host, URL: "http://" + host}
		m.Process = newProcess(tb, fmt.Sprint("etcd ", i), append([]string{
			program, "--name", fmt.Sprint("m", i), "--data-dir", tb.TempDir(), "--log-level", "error",
			"--listen-client-urls", m.URL, "--advertise-client-urls", m.URL,
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(all, ","), "--unsafe-no-fsync",
		}, flags...), nil)
		m.Start()
		members[i] = m
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

// newClient returns a client of members.
func newClient(tb testing.TB, urls ...string) *clientv3.Client {
	tb.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: urls, Logger: zap.NewNop()})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = c.Close() })

	return c
}
