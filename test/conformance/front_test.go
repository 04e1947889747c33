package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/conns"
	"tenure/internal/serverconfig"
	"tenure/internal/store"
	"tenure/internal/store/storetest"
	"tenure/server"
)

// service is what the suite needs of a server: a tenuretest.Server, or a pair.
type service interface {
	DSN() string
	DropStreams()
	Kill()
	Restart()
}

// pair is two servers that share a store. The clients of the suite use the one that does not serve the node.
type pair struct {
	t      *testing.T
	shared *storetest.Cluster
	owner  *half
	front  *half
}

// newPair starts two servers with the options. Until forward is called, any of them may serve the node.
func newPair(t *testing.T, opts ...server.Option) service {
	t.Helper()
	p := &pair{t: t, shared: storetest.NewCluster()}
	p.owner, p.front = p.start(opts), p.start(opts)
	t.Cleanup(p.end)

	return p
}

// forward makes the server that does not serve the node the front, and returns whether it was the owner before. The
// node has been used.
func (p *pair) forward() (changed bool) {
	p.t.Helper()
	const first store.Space = 1 // that of the first node
	owner := p.shared.Owner(first)
	require.NotEmpty(p.t, owner)
	if changed = owner == p.front.id(); changed {
		p.owner, p.front = p.front, p.owner
	}
	require.Equal(p.t, owner, p.owner.id())

	return changed
}

func (p *pair) DSN() string { return p.front.url() + server.DefaultDatabase }

// DropStreams breaks the connections of the clients.
func (p *pair) DropStreams() { p.front.conns.Cut() }

// Kill breaks all connections, and stops both servers.
func (p *pair) Kill() {
	p.front.conns.Shut()
	p.owner.conns.Shut()
	p.end()
}

// Restart starts both servers again. The one that has served the node before is the first, and serves it again.
func (p *pair) Restart() {
	p.end()
	p.owner.start(p.shared)
	p.front.start(p.shared)
}

func (p *pair) end() {
	p.front.stop()
	p.owner.stop()
}

func (p *pair) start(opts []server.Option) *half {
	p.t.Helper()
	h := &half{t: p.t, opts: opts, address: "127.0.0.1:0"}
	h.start(p.shared)

	return h
}

// half is one of the two servers.
type half struct {
	t       *testing.T
	opts    []server.Option
	address string // the same after a restart
	starts  int

	server *server.Server // nil: it is stopped
	scheme string
	conns  *conns.Set
	served chan error
}

// id returns the id of the server since the last start.
func (h *half) id() string  { return fmt.Sprint(h.address, " ", h.starts) }
func (h *half) url() string { return h.scheme + h.address }

func (h *half) start(shared *storetest.Cluster) {
	h.t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", h.address)
	require.NoError(h.t, err)
	h.address = lis.Addr().String()
	h.starts++
	h.conns, h.served = &conns.Set{}, make(chan error, 1)
	h.server, err = server.New(append(slices.Clone(h.opts), func(c *serverconfig.Config) {
		h.scheme = "grpc://"
		if c.TLS != nil {
			h.scheme = "grpcs://"
		}
		c.Store = shared.Join(h.id(), h.url())
	})...)
	require.NoError(h.t, err)
	srv, served := h.server, h.served
	go func() { served <- srv.Serve(h.conns.Listener(lis)) }() // stop waits for it
}

// stop stops the server. Calling it again is a no-op.
func (h *half) stop() {
	h.t.Helper()
	if h.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	require.NoError(h.t, errors.Join(h.server.Stop(ctx), <-h.served))
	h.server = nil
}
