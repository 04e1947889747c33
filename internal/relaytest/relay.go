// Package relaytest is a network between clients and a server that tests can break and heal.
package relaytest

import (
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A Relay passes TCP connections on to a server. Each direction can become a black hole. From then on, neither side
// learns that the other one has closed a connection.
type Relay struct {
	ToServer, ToClient Way

	t       testing.TB
	address string
	server  string
	ending  chan struct{} // closed at the end of the test
	work    sync.WaitGroup

	mu     sync.Mutex // guards the rest
	lis    net.Listener
	conns  []net.Conn // pairs of a client's and the server's
	ended  bool
	refuse func(client net.Conn) bool // nil: refuses nobody
	healed chan struct{}              // closed and replaced by Heal
}

// A Way is one direction of a Relay.
type Way struct {
	Hole    atomic.Bool  // drop all bytes
	Delay   atomic.Int64 // nanoseconds by which each read is passed on later; the throughput falls accordingly
	Passed  atomic.Int64 // bytes
	Dropped atomic.Int64 // bytes
}

// The ports that Listen tries. Most systems assign ports from 32768 up to outgoing connections.
const firstPort, ports = 10_000, 22_000

// tried counts the ports that Listen has tried. Processes begin with different ones, because one that FreeAddress has
// found is not in use yet.
var tried atomic.Int64

// Listen listens on a port that the system does not assign to outgoing connections while nobody listens on it. It tries
// no port twice.
func Listen(tb testing.TB) net.Listener {
	tb.Helper()
	const stride = 7_919 // a prime
	for range ports {
		port := firstPort + (int64(os.Getpid())*stride+tried.Add(1))%ports
		if lis, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return lis
		}
	}
	require.FailNow(tb, "found no free port")

	return nil
}

// FreeAddress returns an address at which Listen would listen, for a server that stops and starts again.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	lis := Listen(tb)
	require.NoError(tb, lis.Close())

	return lis.Addr().String()
}

// New returns a relay to the server at an address host:port. It ends with the test.
func New(tb testing.TB, server string) *Relay {
	tb.Helper()
	lis := Listen(tb)
	r := &Relay{
		t: tb, address: lis.Addr().String(), server: server, lis: lis,
		ending: make(chan struct{}), healed: make(chan struct{}),
	}
	r.work.Go(func() { r.accept(lis) })
	tb.Cleanup(func() {
		close(r.ending)
		r.Cut()
		r.work.Wait()
	})

	return r
}

// Address returns the host:port at which clients connect.
func (r *Relay) Address() string { return r.address }

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

// Refuse breaks the connections of the clients that the function accepts, and refuses new ones of theirs, until it is
// called again. Nil refuses nobody.
func (r *Relay) Refuse(refuse func(client net.Conn) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.refuse = refuse
	for pair := range slices.Chunk(r.conns, 2) {
		if refuse != nil && refuse(pair[0]) {
			pair[0].Close()
			pair[1].Close()
		}
	}
}

// Slow delays each read in both directions.
func (r *Relay) Slow(by time.Duration) {
	r.ToServer.Delay.Store(int64(by))
	r.ToClient.Delay.Store(int64(by))
}

// Heal undoes Cut, Silence and Slow. If bytes may have been dropped, it breaks all connections.
func (r *Relay) Heal() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()

	r.Slow(0)
	toServer, toClient := r.ToServer.Hole.Swap(false), r.ToClient.Hole.Swap(false)
	if toServer || toClient {
		r.breakAll()
	}
	close(r.healed)
	r.healed = make(chan struct{})
	if !r.ended {
		return
	}
	lis, err := net.Listen("tcp", r.address)
	require.NoError(r.t, err)
	r.lis, r.ended = lis, false
	r.work.Go(func() { r.accept(lis) })
}

// breakAll is called with mu held.
func (r *Relay) breakAll() {
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

func (r *Relay) accept(lis net.Listener) {
	for {
		client, err := lis.Accept()
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
	if r.ended || r.refuse != nil && r.refuse(ends[0]) {
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

	r.copy(w, to, from)
	r.mu.Lock()
	healed := r.healed
	r.mu.Unlock()
	if r.ToServer.Hole.Load() || r.ToClient.Hole.Load() {
		select {
		case <-healed:
		case <-r.ending:
		}
	}
}

func (r *Relay) copy(w *Way, to, from net.Conn) {
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
		if d := w.Delay.Load(); d > 0 {
			select {
			case <-time.After(time.Duration(d)):
			case <-r.ending:
			}
		}
		w.Passed.Add(int64(n))
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
