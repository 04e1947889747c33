package httpd

import (
	"crypto/tls"
	"net"
	"net/http"

	"tenure/internal/clock"
	"tenure/internal/conns"
)

// The numbers of connections fit in the files that a server keeps for its own use, and leave room for requests beside
// the viewers of the page.
const (
	maxConnections           = 192
	maxConnectionsPerAddress = maxConnections / 2
)

// limitConnections is the limit as metrics and the log name it.
const limitConnections = "http_connections"

// limited returns a listener with limits. When one is reached, a new connection takes the place of the one that has
// been without a request for the longest time. If there is none, the new one is closed.
func limited(lis net.Listener, refused func(limit, address string)) net.Listener {
	set := &conns.Set{}
	set.Limit(conns.Limits{
		Total: maxConnections, PerAddress: maxConnectionsPerAddress, Clock: clock.System(),
		Refused: func(_, address string) { refused(limitConnections, address) },
	})

	return set.Listener(lis)
}

// follow protects connections with a request in progress.
func follow(c net.Conn, state http.ConnState) {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if c, ok := c.(*conns.Conn); ok {
		c.Protect(state == http.StateActive)
	}
}
