package tenuretest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tenure"
	"tenure/internal/clock/clocktest"
	"tenure/internal/conns"
	"tenure/internal/serverconfig"
	"tenure/internal/store/memstore"
	"tenure/server"
)

// stopLimit is the time that calls in progress have to end when the server stops.
const stopLimit = time.Second

// anyPort makes the system choose a free loopback port.
const anyPort = "127.0.0.1:0"

// Server is a coordination server in the test's process. Its methods may be called from several goroutines. A fault of
// the server itself fails the test; on a server that Start returned it panics.
type Server struct {
	tb       testing.TB // nil: the server comes from Start
	opts     []server.Option
	tls      bool
	database string
	addr     string // set by the first start, before any other method is called
	disk     memstore.Disk
	clock    *clocktest.Clock

	advancing sync.Mutex // one Advance at a time

	mu      sync.Mutex // guards the rest, and makes Stop, Kill and Restart atomic
	server  *server.Server
	control *serverconfig.Control
	conns   *conns.Set
	serving chan error // receives the result of Serve
	clients map[*tenure.Client]*client
}

// NewServer starts a server without any nodes. The server stops when the test ends. The options are for tests of TLS,
// users, limits and other databases than /local. The server keeps its data in memory, whatever the options say.
func NewServer(tb testing.TB, opts ...server.Option) *Server {
	tb.Helper()

	s := newServer(opts)
	s.tb = tb
	if err := s.start(); err != nil {
		tb.Fatalf("tenuretest: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("tenuretest: close: %v", err)
		}
	})

	return s
}

// Start starts a server where there is no testing.TB: in an Example or in TestMain. The caller must close the server.
func Start(opts ...server.Option) (*Server, error) {
	s := newServer(opts)
	if err := s.start(); err != nil {
		return nil, fmt.Errorf("tenuretest: %w", err)
	}

	return s, nil
}

func newServer(opts []server.Option) *Server {
	s := &Server{
		opts: opts, addr: anyPort, database: server.DefaultDatabase,
		clock: clocktest.New(), clients: make(map[*tenure.Client]*client),
	}
	var c serverconfig.Config
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	s.tls = c.TLS != nil
	if c.Database != nil {
		s.database = strings.TrimRight(*c.Database, "/")
	}

	return s
}

// Close closes the clients that Client and NewClient returned, and stops the server. A server that NewServer returned
// is closed when its test ends. Calling Close again is a no-op.
func (s *Server) Close() error {
	s.closeClients()

	return s.end(func() {})
}

// DSN returns the data source name of the server for tenure.Open and ydb.Open. It stays the same when the server
// restarts.
func (s *Server) DSN() string {
	scheme := "grpc://"
	if s.tls {
		scheme = "grpcs://"
	}

	return scheme + s.addr + s.database
}

// Database returns the path that all paths of the server start with.
func (s *Server) Database() string { return s.database }

// DropStreams breaks every connection of every client, as a failing network does. Clients may connect again
// immediately. Sessions stay for their timeouts.
func (s *Server) DropStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.conns.Cut()
}

// Stop shuts the server down cleanly: it ends the streams of its clients with a message that says so. Restart finds
// everything that the server has acknowledged. Calling Stop again is a no-op.
func (s *Server) Stop() { s.check("stop", s.end(func() {})) }

// Kill stops the server as a crash does: the connections of its clients break without a message. Restart finds
// everything that the server has acknowledged. Killing a server that does not run is a no-op.
func (s *Server) Kill() { s.check("kill", s.end(func() { s.conns.Shut() })) }

// Restart starts the server again with the same address and data. If the server is running, Restart stops it first, as
// Stop does. Sessions have their timeouts and the node's grace period, 10 s by default, to attach again.
func (s *Server) Restart() {
	s.Stop()
	s.check("restart", s.start())
}

// check fails the test if err is not nil.
func (s *Server) check(op string, err error) {
	switch {
	case err == nil:
	case s.tb != nil:
		s.tb.Errorf("tenuretest: %s: %v", op, err)
	default:
		panic(fmt.Sprintf("tenuretest: %s: %v", op, err))
	}
}

// start starts the server, unless it is running: of several calls of Restart, one starts it.
func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.server != nil {
		return nil
	}
	records, err := s.disk.Open()
	if err != nil {
		return err
	}
	control := &serverconfig.Control{}
	srv, err := server.New(append(slices.Clone(s.opts), func(c *serverconfig.Config) {
		c.Store, c.Clock, c.Control, c.DataDir = records, s.clock, control, nil
	})...)
	if err != nil {
		return err
	}
	lis, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", s.addr)
	if err != nil {
		return errors.Join(err, srv.Stop(context.Background()))
	}
	s.server, s.control = srv, control
	if s.addr == anyPort {
		s.addr = lis.Addr().String()
	}
	s.conns, s.serving = &conns.Set{}, make(chan error, 1)
	served, serving := s.conns.Listener(lis), s.serving
	go func() { serving <- srv.Serve(served) }() // end waits for it

	return nil
}

// end calls first and stops the server, if it is running.
func (s *Server) end(first func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.server == nil {
		return nil
	}
	first()
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	err := errors.Join(s.server.Stop(ctx), <-s.serving)
	s.server, s.control = nil, nil

	return err
}
