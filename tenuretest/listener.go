package tenuretest

import (
	"net"
	"sync"
)

// listener is a listener that knows its open connections.
type listener struct {
	net.Listener

	mu     sync.Mutex // guards the rest
	open   map[net.Conn]struct{}
	closed bool // connections that come are closed
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.Close()
	}
	l.open[c] = struct{}{}

	return &conn{c, l}, nil
}

// drop closes every connection.
func (l *listener) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()

	for c := range l.open {
		c.Close()
	}
	clear(l.open)
}

// close closes every connection, and every later one.
func (l *listener) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.drop()
}

type conn struct {
	net.Conn
	listener *listener
}

func (c *conn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.open, c.Conn)
	c.listener.mu.Unlock()

	return c.Conn.Close()
}
