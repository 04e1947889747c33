// Package relay forwards gRPC streams to other servers. It passes messages on as they are, in both directions.
package relay

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"

	"tenure/internal/codec"
)

// Windows of a connection between two servers. They do not grow, so a client that does not read makes the other server
// wait after one window.
const (
	streamWindow = 64 << 10
	connWindow   = 4 << 20
)

// connect is how long a call waits for a connection.
const connect = time.Second

// ErrUnreachable reports that a call has not reached the other server.
var ErrUnreachable = errors.New("the other server cannot be reached")

// Pool holds connections to other servers. Its methods are safe for concurrent use.
type Pool struct {
	creds credentials.TransportCredentials
	most  int // calls of a connection

	mu     sync.Mutex // guards the rest
	links  map[string][]*link
	closed bool
}

// link is a connection.
type link struct {
	conn  *grpc.ClientConn
	calls int // guarded by the mutex of the pool
}

// NewPool returns a pool of connections with the credentials. Each connection has at most the given number of calls at
// the same time. The caller must call Close.
func NewPool(creds credentials.TransportCredentials, most int) *Pool {
	return &Pool{creds: creds, most: most, links: make(map[string][]*link)}
}

// take returns a connection to the server at the address, which is host:port, for one call. The caller must call give.
func (p *Pool) take(address string) (*link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrUnreachable
	}
	for _, l := range p.links[address] {
		if l.calls < p.most {
			l.calls++

			return l, nil
		}
	}
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(p.creds),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second,
			},
			MinConnectTimeout: connect,
		}),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(codec.New()),
			grpc.MaxCallRecvMsgSize(math.MaxInt32),
			grpc.MaxCallSendMsgSize(math.MaxInt32),
		))
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, calls: 1}
	p.links[address] = append(p.links[address], l)

	return l, nil
}

func (p *Pool) give(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.calls--
}

// Drop closes the connections to the server at the address. Their calls end. The next call makes a new connection.
func (p *Pool) Drop(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(address, p.links[address])
}

// Addresses returns the addresses of all servers to which there are connections.
func (p *Pool) Addresses() []string {
	p.mu.Lock()
	defer p.mu.Unlock()

	return slices.Collect(maps.Keys(p.links))
}

// drop closes the connections to a server. It is called with mu held.
func (p *Pool) drop(address string, links []*link) {
	for _, l := range links {
		l.conn.Close()
	}
	delete(p.links, address)
}

// Close closes all connections, which ends their calls. Later calls fail.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for address, links := range p.links {
		p.drop(address, links)
	}
}

// Invoke makes a unary call to the server at the address.
func (p *Pool) Invoke(ctx context.Context, address, method string, req, resp any) error {
	l, err := p.take(address)
	if err != nil {
		return err
	}
	defer p.give(l)

	return l.conn.Invoke(ctx, method, req, resp)
}
