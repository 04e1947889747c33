// Package conns keeps track of the open connections of listeners, limits what each of them may use, and closes them.
package conns

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"

	"tenure/internal/clock"
	"tenure/internal/turns"
)

// Limits bound the connections of a Set. All fields must be set, unless they say what nil means. Without the
// credentials of this package, only Total, PerAddress and Refused have an effect.
type Limits struct {
	Total      int           // open connections
	PerAddress int           // of them, those from one address of another machine
	Calls      int           // calls that one connection may have open, and begin at the same time
	CallRate   int           // calls that one connection begins in a second
	FrameRate  int           // HTTP/2 frames in a second with which one connection sends no data, beyond those earned
	Unfinished int           // bytes of messages of which only a part has arrived; one connection may have a quarter
	Patience   time.Duration // for a message to arrive completely
	Clock      clock.Clock
	Turns      *turns.Turns                    // for connections with large messages; nil: these do not take turns
	Trusted    func(credentials.AuthInfo) bool // connections without limits on what they send; nil: none
	Refused    func(limit, address string)     // reports that a connection was closed or refused because of a limit
}

// The limits as Limits.Refused names them.
const (
	limitTotal      = "connections"
	limitPerAddress = "connections_per_address"
	limitCalls      = "call_rate"
	limitResets     = "reset_rate"
	limitFrames     = "frame_rate"
	limitUnfinished = "unfinished_bytes"
	limitPatience   = "unfinished_time"
)

// A Set contains the open connections of its listeners. The zero Set is empty and has no limits. Its methods are safe
// for concurrent use.
type Set struct {
	limits     *Limits // nil: none
	unfinished atomic.Int64
	hurried    atomic.Bool

	mu   sync.Mutex // guards the rest
	open map[*Conn]struct{}
	from map[netip.Prefix]int // connections of other machines
	shut bool                 // new connections are closed

	suspect map[netip.Prefix]clock.Instant // when a connection from there was cut because of a rate; see suspects

	// Connections that may be closed in favour of a new one, longest first: those that have not finished their handshake,
	// and those without a session.
	silent, idle list.List
}

// Limit sets the limits. It must be called before Listener.
func (s *Set) Limit(l Limits) { s.limits = &l }

// Listener returns a listener that adds its connections to the set. A connection leaves the set when it is closed.
func (s *Set) Listener(l net.Listener) net.Listener { return &listener{l, s} }

// Cut closes the open connections.
func (s *Set) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		s.leave(c)
		_ = c.end()
	}
}

// Hurry makes connections that have to wait before they are read go on, and no connection waits from now on. A server
// that stops calls it, because it waits for its clients.
func (s *Set) Hurry() {
	s.hurried.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		if m := c.meter.Load(); m != nil {
			m.mu.Lock()
			m.wake()
			m.mu.Unlock()
		}
	}
}

// Shut closes the open connections and all later ones.
func (s *Set) Shut() {
	s.mu.Lock()
	s.shut = true
	s.mu.Unlock()
	s.Cut()
}

// keepAlive finds out that the machine of a client is gone, also if the connection is idle.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 2}

// add adds a connection, and closes another one if there is no room. It returns nil if the connection is refused.
func (s *Set) add(inner net.Conn) *Conn {
	c := &Conn{Conn: inner, set: s, from: prefix(inner.RemoteAddr())}
	c.address = &address{inner.RemoteAddr(), c, HostOf(inner.RemoteAddr())}
	if tcp, ok := inner.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive) // a connection that has failed is noticed when it is read
	}
	victim, limit := s.enter(c)
	if victim != nil {
		_ = victim.end() // its goroutines notice that
	}
	if limit == "" {
		return c
	}
	s.limits.Refused(limit, inner.RemoteAddr().String())
	if victim == nil {
		inner.Close()

		return nil
	}

	return c
}

// enter adds a connection. If a limit is reached, it returns that, and the connection whose place the new one takes. If
// there is none, the new one was not added.
func (s *Set) enter(c *Conn) (victim *Conn, limit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		c.Conn.Close()

		return nil, ""
	}
	if l := s.limits; l != nil {
		switch {
		case c.from.IsValid() && s.from[c.from] >= l.PerAddress:
			victim, limit = s.victim(c.from), limitPerAddress
		case len(s.open) >= l.Total:
			victim, limit = s.victim(netip.Prefix{}), limitTotal
		}
		if limit != "" && victim == nil {
			return nil, limit
		}
		if victim != nil {
			s.leave(victim)
		}
	}
	if s.open == nil {
		s.open, s.from = make(map[*Conn]struct{}), make(map[netip.Prefix]int)
	}
	s.open[c] = struct{}{}
	if c.from.IsValid() {
		s.from[c.from]++
	}
	c.place(&s.silent)

	return victim, limit
}

// victim returns the connection that is closed in favour of a new one, nil if there is none. It is one from the given
// address if that is valid.
func (s *Set) victim(from netip.Prefix) *Conn {
	for _, l := range []*list.List{&s.silent, &s.idle} {
		for e := l.Front(); e != nil; e = e.Next() {
			if c := e.Value.(*Conn); !from.IsValid() || c.from == from {
				return c
			}
		}
	}

	return nil
}

// leave removes a connection. It is called with mu held.
func (s *Set) leave(c *Conn) {
	if _, ok := s.open[c]; !ok {
		return
	}
	delete(s.open, c)
	c.place(nil)
	if c.from.IsValid() {
		if s.from[c.from]--; s.from[c.from] == 0 {
			delete(s.from, c.from)
		}
	}
}

// cutLargest closes the connection with the most bytes of unfinished messages.
func (s *Set) cutLargest() {
	var largest *Conn
	s.mu.Lock()
	for c := range s.open {
		if m := c.meter.Load(); m != nil && (largest == nil || m.bytes.Load() > largest.meter.Load().bytes.Load()) {
			largest = c
		}
	}
	s.mu.Unlock()
	if largest != nil {
		largest.cut(limitUnfinished)
	}
}

// suspects reports whether a connection from an address was cut because of a rate a short time ago. All connections
// of the same machine have one address here.
func (s *Set) suspects(from netip.Prefix, now clock.Instant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	cut, ok := s.suspect[from]

	return ok && now.Sub(cut) < suspicion
}

// suspectFrom notes that a connection from an address was cut because of a rate.
func (s *Set) suspectFrom(from netip.Prefix, now clock.Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.suspect == nil || len(s.suspect) >= maxSuspects {
		s.suspect = make(map[netip.Prefix]clock.Instant)
	}
	s.suspect[from] = now
}

// prefix returns the address of a connection as limits count it: an IPv4 address or an IPv6 network of 64 bits. It is
// not valid for connections from the same machine, which may come from anyone, also through a proxy.
func prefix(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || tcp.IP.IsLoopback() {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.WithZone("").Prefix(bits) // the zero Prefix is not valid

	return p
}

type listener struct {
	net.Listener

	set *Set
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.set.add(c); c != nil {
			return c, nil
		}
	}
}
