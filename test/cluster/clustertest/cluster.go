package clustertest

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"tenure/internal/ownership"
	"tenure/internal/store"
)

// Options are the options of Start.
type Options struct {
	Members     int      // of etcd; default 3
	Servers     int      // default 3
	MemberFlags []string // for etcd
	ServerFlags []string // for tenure serve
	ServerEnv   []string // for tenure serve
	Tags        string   // build tags of the commands
	Direct      bool     // without relays, for benchmarks
}

// Cluster is an etcd cluster, and servers that share it.
type Cluster struct {
	Members []*Member
	Servers []*Server

	t    testing.TB
	etcd *clientv3.Client
}

// prefix is that of all keys in etcd.
const prefix = "/tenure/"

// Start starts a cluster and waits until all servers are ready. It ends with the test.
func Start(tb testing.TB, o Options) *Cluster {
	tb.Helper()
	const usual = 3
	c := &Cluster{t: tb, Members: startMembers(tb, cmp.Or(o.Members, usual), o)}
	c.etcd = newClient(tb, c.urls()...)
	for i := range cmp.Or(o.Servers, usual) {
		c.Servers = append(c.Servers, newServer(tb, i, c.Members, o))
	}
	for _, s := range c.Servers {
		s.Restart()
	}

	return c
}

func (c *Cluster) urls() (urls []string) {
	for _, m := range c.Members {
		urls = append(urls, m.URL)
	}

	return urls
}

// Client returns a client of etcd that uses no relay.
func (c *Cluster) Client() *clientv3.Client { return c.etcd }

// Leader returns the leader of etcd, or nil if there is none at the moment.
func (c *Cluster) Leader() *Member {
	c.t.Helper()
	for _, m := range c.Members {
		if !m.Running() {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), soon/60)
		status, err := c.etcd.Status(ctx, m.URL)
		cancel()
		if err != nil || status.Leader == 0 {
			continue
		}
		i := slices.IndexFunc(c.Members, func(m *Member) bool { return m.id == status.Leader })
		if i >= 0 && c.Members[i].Running() {
			return c.Members[i]
		}
	}

	return nil
}

// AwaitLeader waits until etcd has a leader other than one, which may be nil.
func (c *Cluster) AwaitLeader(other *Member) (leader *Member) {
	c.t.Helper()
	until(c.t, "etcd has a leader", func() bool {
		leader = c.Leader()

		return leader != nil && leader != other
	})

	return leader
}

// Owner returns the server that owns a coordination node, or nil if none does. The name is the path without the
// database. The server may be dead.
func (c *Cluster) Owner(name string) *Server {
	c.t.Helper()
	r := c.get(ownership.CatalogRecords + "e" + name)
	const kind, number = 1, 8 // bytes
	if len(r) < kind+number {
		return nil
	}
	space := store.Space(binary.BigEndian.Uint64(r[kind:]))
	key := ownership.OwnerKey(space)
	value := c.get(key)
	if value == nil {
		return nil
	}
	owner, err := ownership.DecodeOwner(ownership.KV{Key: key, Value: value})
	require.NoError(c.t, err)
	for _, s := range c.Servers {
		if owner.Server != "" && slices.Contains(s.ids(), owner.Server) {
			return s
		}
	}

	return nil
}

// AwaitOwner waits until a server that runs owns the coordination node.
func (c *Cluster) AwaitOwner(name string) (owner *Server) {
	c.t.Helper()
	until(c.t, "a server owns "+name, func() bool {
		owner = c.Owner(name)

		return owner != nil && owner.Running()
	})

	return owner
}

// RevokeLease makes etcd revoke the lease with which the server is registered.
func (c *Cluster) RevokeLease(s *Server) {
	c.t.Helper()
	ids := s.ids()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	r, err := c.etcd.Get(ctx, prefix+ownership.ServerKey(ids[len(ids)-1]))
	require.NoError(c.t, err)
	require.NotEmpty(c.t, r.Kvs, "%s is registered", s.Name)
	_, err = c.etcd.Revoke(ctx, clientv3.LeaseID(r.Kvs[0].Lease))
	require.NoError(c.t, err)
}

// Others returns the servers that are not this one.
func (c *Cluster) Others(s *Server) (others []*Server) {
	for _, o := range c.Servers {
		if o != s {
			others = append(others, o)
		}
	}

	return others
}

// get returns the value of a key, or nil.
func (c *Cluster) get(key string) []byte {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	r, err := c.etcd.Get(ctx, prefix+key)
	require.NoError(c.t, err)
	if len(r.Kvs) == 0 {
		return nil
	}

	return r.Kvs[0].Value
}
