package conns

import (
	"errors"
	"net"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/credentials"
)

// Credentials returns credentials for a gRPC server that serves the listeners of the set. They do what inner does, and
// then enforce the limits on what the client sends. They must be above TLS, because they look at frames.
func (s *Set) Credentials(inner credentials.TransportCredentials) credentials.TransportCredentials {
	return &metering{inner, s}
}

type metering struct {
	credentials.TransportCredentials

	set *Set
}

// ServerHandshake implements credentials.TransportCredentials.
func (m *metering) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	inner, info, err := m.TransportCredentials.ServerHandshake(raw)
	c, ok := raw.(*Conn)
	if err != nil || !ok || m.set.limits == nil {
		return inner, info, err
	}
	if trusted := m.set.limits.Trusted; trusted != nil && trusted(info) {
		c.speak()

		return inner, info, nil
	}
	metered := &meteredConn{Conn: inner, preface: len(http2.ClientPreface), meter: newMeter(c)}
	metered.in.to, metered.out.to = metered.meter, written{metered.meter}
	c.meter.Store(metered.meter)

	return metered, info, nil
}

// Clone implements credentials.TransportCredentials.
func (m *metering) Clone() credentials.TransportCredentials {
	return &metering{m.TransportCredentials.Clone(), m.set}
}

// meteredConn is a connection whose frames are counted as they pass.
type meteredConn struct {
	net.Conn

	meter   *meter
	preface int // bytes of the client's preface that have not arrived
	in, out scanner
}

var errCut = errors.New("the connection has exceeded a limit")

// Read implements net.Conn.
func (c *meteredConn) Read(p []byte) (int, error) {
	c.meter.giveTurn()
	n, err := c.Conn.Read(p)
	if n == 0 {
		return n, err
	}
	c.meter.now = c.meter.limits.Clock.Now()
	frames := p[:n]
	if c.preface > 0 {
		part := min(c.preface, n)
		frames = frames[part:]
		if c.preface -= part; c.preface == 0 {
			c.meter.conn.speak()
		}
	}
	c.in.scan(frames)
	if limit := c.meter.check(); limit != "" {
		if limit == c.meter.exceeded {
			c.meter.conn.set.suspectFrom(c.meter.conn.from, c.meter.now)
		}
		c.meter.conn.cut(limit)

		return 0, errCut
	}
	c.meter.pause()
	c.meter.takeTurn()

	return n, err
}

// Write implements net.Conn.
func (c *meteredConn) Write(p []byte) (int, error) {
	c.out.scan(p)

	return c.Conn.Write(p)
}

// written notices the end of streams in what the server sends.
type written struct{ meter *meter }

func (w written) begin(f frame) {
	if f.kind == frameReset || f.kind == frameHeaders && f.flags&flagEndStream != 0 {
		w.meter.forget(f.stream)
	}
}

func (w written) payload(frame, []byte) {}
func (w written) end(frame)             {}
