// Package relaytest is a network between clients and a server that tests can break.
package relaytest

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Relay passes TCP connections on to a server. Each direction can become a black hole. From then on, neither side
// learns that the other one has closed a connection.
type Relay struct {
	ToServer, ToClient Way

	lis    net.Listener
	server string
	ending chan struct{} // closed at the end of the test
	work   sync.WaitGroup

	mu    sync.Mutex // guards the rest
	conns []net.Conn
	ended bool
}

// A Way is one direction of a Relay.
type Way struct {
	Hole    atomic.Bool  // drop all bytes
	Passed  atomic.Int64 // bytes
	Dropped atomic.Int64 // bytes
}

// New returns a relay to the server at an address host:port. It ends with the test.
func New(t *testing.T, server string) *Relay {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &Relay{lis: lis, server: server, ending: make(chan struct{})}
	r.work.Go(r.accept)
	t.Cleanup(func() {
		close(r.ending)
		r.Cut()
		r.work.Wait()
	})

	return r
}

// Address returns the host:port at which clients connect.
func (r *Relay) Address() string { return r.lis.Addr().String() }

// Passed returns the number of bytes that have passed in both directions.
func (r *Relay) Passed() int64 { return r.ToServer.Passed.Load() + r.ToClient.Passed.Load() }

// Silence drops all further traffic in both directions and leaves the connections open.
func (r *Relay) Silence() {
	r.ToServer.Hole.Store(true)
	r.ToClient.Hole.Store(true)
}

// Break breaks all connections. Clients can connect again.
func (r *Relay) Break() {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.breakAll()
}

// Cut breaks all connections and refuses new ones.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.ended = true
	r.lis.Close()
	r.breakAll()
}

// breakAll is called with mu held.
func (r *Relay) breakAll() {
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

func (r *Relay) accept() {
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
		r.work.Go(func() { r.pass(&r.ToServer, client, server) })
		r.work.Go(func() { r.pass(&r.ToClient, server, client) })
	}
}

// add registers both ends of a connection for Cut. It closes them and returns false if Cut was called before.
func (r *Relay) add(ends ...net.Conn) bool {
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

// pass passes bytes on in one direction until a connection ends.
func (r *Relay) pass(w *Way, from, to net.Conn) {
	defer from.Close()
	defer to.Close()

	w.copy(to, from)
	if r.ToServer.Hole.Load() || r.ToClient.Hole.Load() {
		<-r.ending
	}
}

func (w *Way) copy(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if w.Hole.Load() {
			w.Dropped.Add(int64(n))

			continue
		}
		w.Passed.Add(int64(n))
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
