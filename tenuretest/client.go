package tenuretest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/balancers"
	"github.com/ydb-platform/ydb-go-sdk/v3/config"
	"google.golang.org/grpc"

	"tenure"
	"tenure/internal/clientconfig"
)

// Limits on the real time that a client has to open and to close.
const (
	openLimit  = 10 * time.Second
	closeLimit = time.Second
)

// client is a tenure.Client that shares the server's clock and whose network can be cut.
type client struct {
	network *network

	mu       sync.Mutex // guards sessions
	sessions map[clientconfig.Session]struct{}
}

// Client returns a new client of the server, which is closed when the test ends. Advance moves its time, and Partition
// cuts its network. Options that set the clock or the network have no effect. [tenure.WithDriverOptions] sets the
// credentials and the authorities that a server with users or TLS needs.
func (s *Server) Client(tb testing.TB, opts ...tenure.Option) *tenure.Client {
	tb.Helper()

	ctx, cancel := context.WithTimeout(tb.Context(), openLimit)
	defer cancel()
	c, err := s.NewClient(ctx, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.closeClient(c) })

	return c
}

// NewClient is Client where there is no testing.TB. The client may be closed by its caller, and is closed by Close.
func (s *Server) NewClient(ctx context.Context, opts ...tenure.Option) (*tenure.Client, error) {
	mine := &client{network: newNetwork(), sessions: make(map[clientconfig.Session]struct{})}
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		conn, err := mine.network.dial(ctx, s.addr)
		if err != nil {
			return nil, err // not a conn that is nil
		}

		return conn, nil
	}
	c, err := tenure.Open(ctx, s.DSN(), append(slices.Clip(opts), func(c *clientconfig.Config) {
		c.Clock, c.Opened = s.clock, mine.opened
		c.DriverOptions = append(c.DriverOptions,
			ydb.WithBalancer(balancers.SingleConn()), // the server is the only endpoint
			ydb.With(config.WithGrpcOptions(grpc.WithContextDialer(dial))),
		)
	})...)
	if err != nil {
		mine.network.close()

		return nil, fmt.Errorf("tenuretest: open a client: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[c] = mine

	return c, nil
}

// opened takes note of a session until it is over.
func (c *client) opened(session clientconfig.Session) {
	c.mu.Lock()
	c.sessions[session] = struct{}{}
	c.mu.Unlock()
	context.AfterFunc(session.Context(), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.sessions, session)
	})
}

// closeClient closes a client, unless it has done so before.
func (s *Server) closeClient(c *tenure.Client) {
	s.mu.Lock()
	mine, running := s.clients[c], s.server != nil
	delete(s.clients, c)
	s.mu.Unlock()
	if mine == nil {
		return
	}
	mine.network.heal() // so that Close reaches the server
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	if !running {
		cancel() // a server that does not run gives no answer to wait for
	}
	if err := c.Close(ctx); err != nil && running && !errors.Is(err, context.DeadlineExceeded) {
		s.check("close a client", err)
	}
	mine.network.close()
}

func (s *Server) closeClients() {
	s.mu.Lock()
	clients := make([]*tenure.Client, 0, len(s.clients))
	for c := range s.clients {
		clients = append(clients, c)
	}
	s.mu.Unlock()
	for _, c := range clients {
		s.closeClient(c)
	}
}

// Partition cuts the network between the server and a client that Client or NewClient returned. Bytes stop arriving in
// both directions, and neither side sees an error, as when every packet is lost. The client's leases end at their
// deadlines. The server ends its sessions later, and then grants their semaphores to waiters: at most 5/3 of the
// session timeout after Partition, so Advance by twice the timeout shows all of it. Other clients are not affected. For
// faults of all clients, whatever opened them, use DropStreams and Kill.
func (s *Server) Partition(c *tenure.Client) { s.networkOf(c).partition() }

// Heal restores the network of a client that Partition has cut. What either side has sent meanwhile now arrives. Heal
// is a no-op if the network is not cut.
func (s *Server) Heal(c *tenure.Client) { s.networkOf(c).heal() }

func (s *Server) networkOf(c *tenure.Client) *network {
	s.mu.Lock()
	defer s.mu.Unlock()

	if mine := s.clients[c]; mine != nil {
		return mine.network
	}
	s.check("partition", errors.New("the client is not one that Client or NewClient of this server returned, or it "+
		"has been closed"))

	return newNetwork()
}
