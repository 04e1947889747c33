package conns

import (
	"container/list"
	"context"
	"net"
	"net/netip"
	"sync/atomic"

	"google.golang.org/grpc/peer"
)

// Conn is a connection of a Set.
type Conn struct {
	net.Conn

	set     *Set
	from    netip.Prefix // not valid: the same machine
	address *address
	meter   atomic.Pointer[meter] // nil until the handshake is done

	// The set's mutex guards these.
	in       *list.List // silent or idle of the set; nil: neither
	element  *list.Element
	spoken   bool // the handshake is done
	sessions int
}

// address is the remote address of a connection, by which the calls of the connection find it.
type address struct {
	net.Addr

	conn *Conn
	host string // see HostOf
}

// HostOf returns an address without the port.
func HostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String() // a Unix socket has no port
	}

	return host
}

// Host returns the remote address without the port. All calls return the same string, so that the many calls of a
// connection need no memory for it.
func (c *Conn) Host() string { return c.address.host }

// Of returns the connection of a call with gRPC, nil if it is not one of a Set.
func Of(ctx context.Context) *Conn {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	a, ok := p.Addr.(*address)
	if !ok {
		return nil
	}

	return a.conn
}

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.address }

// NetConn returns the connection that the listener has accepted. Programs that need its file descriptor call it.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.set.mu.Lock()
	c.set.leave(c)
	c.set.mu.Unlock()

	return c.end()
}

// end closes the connection after it has left the set.
func (c *Conn) end() error {
	if m := c.meter.Load(); m != nil {
		m.finish()
	}

	return c.Conn.Close()
}

// cut closes the connection because of a limit.
func (c *Conn) cut(limit string) {
	c.set.limits.Refused(limit, c.RemoteAddr().String())
	c.Close()
}

// Hold protects the connection from being closed in favour of a new one, until Let is called. It is called once for
// each session.
func (c *Conn) Hold() { c.change(1) }

// Let undoes Hold.
func (c *Conn) Let() { c.change(-1) }

// Protect does the same as Hold and Let for connections that do not count their sessions. A connection begins without
// protection.
func (c *Conn) Protect(on bool) {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	if c.sessions = 0; on {
		c.sessions = 1
	}
	c.replace()
}

func (c *Conn) change(sessions int) {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	before := c.sessions
	if c.sessions += sessions; before == 0 || c.sessions == 0 {
		c.replace()
	}
}

// speak notes that the handshake is done.
func (c *Conn) speak() {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	c.spoken = true
	c.replace()
}

// replace moves the connection to the list in which it belongs. It is called with the set's mutex held.
func (c *Conn) replace() {
	switch _, open := c.set.open[c]; {
	case !open || c.sessions > 0:
		c.place(nil)
	case c.spoken:
		c.place(&c.set.idle)
	default:
		c.place(&c.set.silent)
	}
}

// place moves the connection to the end of a list, nil for none. It is called with the set's mutex held.
func (c *Conn) place(l *list.List) {
	if c.in != nil {
		c.in.Remove(c.element)
	}
	if c.in, c.element = l, nil; l != nil {
		c.element = l.PushBack(c)
	}
}

// Begin reports whether the connection may begin one more call now. The goroutine that reads from the connection calls
// it.
func (c *Conn) Begin() bool {
	m := c.meter.Load()

	return m == nil || m.begins.Take(m.now)
}
