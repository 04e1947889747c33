package tenuretest

import (
	"context"
	"net"
	"sync"
	"time"
)

// network is the path from one client to the server. While it is cut, bytes stay on the way in both directions, as they
// do when every packet is lost: neither end sees an error, and what was sent arrives when the network is healed.
type network struct {
	mu      sync.Mutex // guards the rest
	healed  chan struct{}
	cut     bool
	closing bool
	conns   map[*conn]struct{}
}

func newNetwork() *network { return &network{conns: make(map[*conn]struct{})} }

// partition cuts the network.
func (n *network) partition() {
	n.mu.Lock()
	defer n.mu.Unlock()

	if !n.cut && !n.closing {
		n.cut, n.healed = true, make(chan struct{})
	}
}

// heal delivers what is on the way, and what is sent later.
func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()

	if n.cut {
		n.cut = false
		close(n.healed)
		for c := range n.conns {
			c.deliver()
		}
	}
}

// close heals the network for good and closes its connections.
func (n *network) close() {
	n.heal()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closing = true
	for c := range n.conns {
		c.Conn.Close()
	}
	clear(n.conns)
}

// await returns when the network is not cut, or with an error when ctx ends or gone is closed.
func (n *network) await(ctx context.Context, gone <-chan struct{}) error {
	for {
		n.mu.Lock()
		cut, healed := n.cut, n.healed
		n.mu.Unlock()
		if !cut {
			return nil
		}
		select {
		case <-healed:
		case <-gone:
			return net.ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *network) isCut() bool {
	n.mu.Lock()
	defer n.mu.Unlock()

	return n.cut
}

// dial connects to the address once the network is not cut.
func (n *network) dial(ctx context.Context, addr string) (net.Conn, error) {
	if err := n.await(ctx, nil); err != nil {
		return nil, err
	}
	inner, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, network: n, closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closing {
		inner.Close()

		return nil, net.ErrClosed
	}
	n.conns[c] = struct{}{}

	return c, nil
}

// conn is the client's end of a connection.
type conn struct {
	net.Conn

	network *network
	sent    []byte // on the way to the server; guarded by network.mu

	closing sync.Once
	closed  chan struct{} // closed by Close
}

// Read returns what arrives, and the end of the connection, only while the network is not cut.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if cut := c.network.await(context.Background(), c.closed); cut != nil {
		return 0, cut
	}

	return n, err
}

// Write never waits for a network that is cut: it has a send buffer without a bound.
func (c *conn) Write(b []byte) (int, error) {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()

	if c.network.cut {
		c.sent = append(c.sent, b...)

		return len(b), nil
	}

	return c.Conn.Write(b)
}

// Close is one more thing that the server does not notice while the network is cut. It ends a Read in any case.
func (c *conn) Close() error {
	c.closing.Do(func() { close(c.closed) })
	c.network.mu.Lock()
	defer c.network.mu.Unlock()

	if c.network.cut {
		return c.Conn.SetReadDeadline(time.Unix(1, 0))
	}
	delete(c.network.conns, c)

	return c.Conn.Close()
}

// deliver sends what is on the way to the server. It is called with network.mu held.
func (c *conn) deliver() {
	_, _ = c.Conn.Write(c.sent) // an error is the end of the connection, which Read sees
	c.sent = nil
	select {
	case <-c.closed:
		delete(c.network.conns, c)
		c.Conn.Close()
	default:
	}
}
