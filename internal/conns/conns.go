// Package conns keeps track of the open connections of listeners, and closes them.
package conns

import (
	"net"
	"sync"
)

// A Set contains the open connections of its listeners. The zero Set is empty. Its methods are safe for concurrent use.
type Set struct {
	mu   sync.Mutex // guards the rest
	open map[net.Conn]struct{}
	shut bool // new connections are closed
}

// Listener returns a listener that adds its connections to the set. A connection leaves the set when it is closed.
func (s *Set) Listener(l net.Listener) net.Listener { return &listener{l, s} }

// Cut closes the open connections.
func (s *Set) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()

	for c := range s.open {
		c.Close()
	}
	clear(s.open)
}

// Shut closes the open connections and all later ones.
func (s *Set) Shut() {
	s.mu.Lock()
	s.shut = true
	s.mu.Unlock()
	s.Cut()
}

func (s *Set) add(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.shut {
		c.Close()

		return
	}
	if s.open == nil {
		s.open = make(map[net.Conn]struct{})
	}
	s.open[c] = struct{}{}
}

func (s *Set) remove(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()

	delete(s.open, c)
}

type listener struct {
	net.Listener

	set *Set
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.set.add(c)

	return &conn{c, l.set}, nil
}

type conn struct {
	net.Conn

	set *Set
}

func (c *conn) Close() error {
	c.set.remove(c.Conn)

	return c.Conn.Close()
}

// NetConn returns the connection without the set, as method NetConn of a tls.Conn does.
func (c *conn) NetConn() net.Conn { return c.Conn }
