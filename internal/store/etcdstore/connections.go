package etcdstore

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"tenure/internal/clock"
)

// connections closes the connections to a member of etcd that has stopped answering. A process that stands still, or
// that is behind a network which drops everything, leaves its connections open. The client of etcd notices that after
// 13 s at the earliest, and until then sends every third request there, and all of those about leases and watches. It
// uses a connection again only when the member answers.
type connections struct {
	clock  clock.Clock
	dialer net.Dialer

	mu  sync.Mutex // guards all
	all map[string]*connection
}

// silence is how long a request has no answer, and its connection is silent, before the connection is closed.
const silence = time.Second

const (
	// reconnect is the longest pause between two attempts to connect to a member. The default of gRPC is two minutes, for
	// which a server would do nothing after etcd has been away.
	reconnect = time.Second
	// connectAttempt is how long an attempt may take, with TLS.
	connectAttempt = 5 * time.Second

	// Windows of a fixed size. Otherwise gRPC measures the connection, with a ping for each answer.
	streamWindow = 1 << 20
	connWindow   = 4 << 20
)

// connection knows when it has last received something.
type connection struct {
	net.Conn

	owner *connections
	heard atomic.Int64 // a clock.Instant
}

func newConnections(c clock.Clock) *connections {
	return &connections{clock: c, all: make(map[string]*connection)}
}

// options returns the options with which the client of etcd is to dial.
func (c *connections) options() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithContextDialer(c.dial), grpc.WithChainUnaryInterceptor(c.call),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: reconnect,
			},
			MinConnectTimeout: connectAttempt,
		}),
		grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(connWindow),
	}
}

func (c *connections) dial(ctx context.Context, address string) (net.Conn, error) {
	raw, err := c.dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := &connection{Conn: raw, owner: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[raw.LocalAddr().String()] = conn

	return conn, nil
}

// call makes a call, and closes its connection if it was in vain because nothing arrives there.
func (c *connections) call(
	ctx context.Context, method string, request, reply any, via *grpc.ClientConn, invoke grpc.UnaryInvoker,
	opts ...grpc.CallOption,
) error {
	began := c.clock.Now()
	var member peer.Peer
	err := invoke(ctx, method, request, reply, via, append(opts, grpc.Peer(&member))...)
	if status.Code(err) != codes.DeadlineExceeded || member.LocalAddr == nil || c.clock.Now().Sub(began) < silence {
		return err
	}
	c.giveUp(member.LocalAddr.String(), began)

	return err
}

// giveUp closes the connection with the local address if nothing has arrived there since an instant, and with it the
// others to the same member on which nothing has arrived. The next request would wait there as long as this one.
func (c *connections) giveUp(local string, since clock.Instant) {
	silent := func(conn *connection) bool { return clock.Instant(conn.heard.Load()) < since }
	var all []*connection
	c.mu.Lock()
	if conn := c.all[local]; conn != nil && silent(conn) {
		for _, other := range c.all {
			if other.RemoteAddr().String() == conn.RemoteAddr().String() && silent(other) {
				all = append(all, other)
			}
		}
	}
	c.mu.Unlock()
	for _, conn := range all {
		_ = conn.Close()
	}
}

// Read implements net.Conn.
func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard.Store(int64(c.owner.clock.Now()))
	}

	return n, err
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.owner.mu.Lock()
	key := c.LocalAddr().String()
	if c.owner.all[key] == c {
		delete(c.owner.all, key)
	}
	c.owner.mu.Unlock()

	return c.Conn.Close()
}
