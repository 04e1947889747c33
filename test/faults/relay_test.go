//go:build linux

package faults

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A relay is the network between a lock and the server. In each direction it can become a black hole, which drops all
// bytes and leaves the connections open.
type relay struct {
	lis      net.Listener
	server   string
	toServer way
	toClient way
	work     sync.WaitGroup

	mu    sync.Mutex // guards the rest
	conns []net.Conn
	ended bool
}

// A way is one direction of the network.
type way struct {
	hole    atomic.Bool
	dropped atomic.Int64 // bytes
}

func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{lis: lis, server: server}
	r.work.Go(r.accept)
	t.Cleanup(func() {
		r.close()
		r.work.Wait()
	})

	return r
}

func (r *relay) address() string { return r.lis.Addr().String() }

func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.ended = true
	r.lis.Close()
	for _, c := range r.conns {
		c.Close()
	}
}

func (r *relay) accept() {
	for {
		client, err := r.lis.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.server)
		if err != nil {
			client.Close()

			continue
		}
		if !r.add(client, server) {
			return
		}
		r.work.Go(func() { r.toServer.pass(client, server) })
		r.work.Go(func() { r.toClient.pass(server, client) })
	}
}

// add registers both ends of a connection for close. It closes them and returns false if close was called before.
func (r *relay) add(ends ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.conns = append(r.conns, ends...)
	if r.ended {
		for _, c := range ends {
			c.Close()
		}
	}

	return !r.ended
}

func (w *way) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()

	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if w.hole.Load() {
			w.dropped.Add(int64(n))

			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
