package server

import (
	"net"
	"sync"
)

// conns is the connections of the server's listeners. gRPC's server does not know one on which the client has not said
// anything yet, and would wait for it, for two minutes, when it stops.
type conns struct {
	mu   sync.Mutex // guards the rest
	open map[net.Conn]struct{}
	shut bool // connections that come are closed
}

func (c *conns) add(nc net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.shut {
		nc.Close()

		return
	}
	c.open[nc] = struct{}{}
}

func (c *conns) remove(nc net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()

	delete(c.open, nc)
}

// cut closes all connections, and those that come.
func (c *conns) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.shut = true
	for nc := range c.open {
		nc.Close()
	}
	clear(c.open)
}

// listener tells conns of its connections.
type listener struct {
	net.Listener

	conns *conns
}

func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.conns.add(nc)

	return &conn{nc, l.conns}, nil
}

type conn struct {
	net.Conn

	conns *conns
}

func (c *conn) Close() error {
	c.conns.remove(c.Conn)

	return c.Conn.Close()
}
