package conformance_test

import (
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/tenuretest"
)

// relay is a network between clients and a server that can fail on command. Clients stay on it after discovery, because
// the server returns the address at which the client reached it (D1).
type relay struct {
	lis    net.Listener
	server string
	silent chan struct{} // closed by silence
	ending chan struct{} // closed at the end of the test
	work   sync.WaitGroup
	passed atomic.Int64 // bytes

	mu    sync.Mutex // guards the rest
	conns []net.Conn
	ended bool
}

func newRelay(t *testing.T, srv *tenuretest.Server) *relay {
	t.Helper()
	dsn, err := url.Parse(srv.DSN())
	require.NoError(t, err)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{lis: lis, server: dsn.Host, silent: make(chan struct{}), ending: make(chan struct{})}
	r.work.Go(r.accept)
	t.Cleanup(func() {
		close(r.ending)
		r.cut()
		r.work.Wait()
	})

	return r
}

func (r *relay) dsn() string { return "grpc://" + r.lis.Addr().String() + "/local" }

// cut breaks all connections and refuses new ones.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.ended = true
	r.lis.Close()
	for _, c := range r.conns {
		c.Close()
	}
}

// silence drops all further traffic in both directions and leaves the connections open.
func (r *relay) silence() { close(r.silent) }

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
		r.work.Go(func() { r.pass(client, server) })
		r.work.Go(func() { r.pass(server, client) })
	}
}

// add registers both ends of a connection for cut. It closes them and returns false if cut was called before.
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

func (r *relay) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()

	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-r.silent:
			<-r.ending

			return
		default:
		}
		r.passed.Add(int64(n))
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
