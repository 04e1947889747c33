package tenuretest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"tenure/internal/conns"
	"tenure/internal/serverconfig"
	"tenure/internal/store/memstore"
	"tenure/server"
)

// stopLimit is what a server that stops gives to the calls that are under way.
const stopLimit = time.Second

// Server is a coordination server in the test's process. It is stopped when the test ends. Its methods may be called
// from several goroutines; a fault in the server itself ends the test.
type Server struct {
	tb   testing.TB
	addr string
	disk memstore.Disk

	mu      sync.Mutex // guards the rest, and holds together what one of Stop, Kill and Restart does
	server  *server.Server
	conns   *conns.Set
	serving chan error // gets what Serve returned
}

// NewServer starts a server with no nodes in it.
func NewServer(tb testing.TB) *Server {
	tb.Helper()

	s := &Server{tb: tb, addr: "127.0.0.1:0"}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
	tb.Cleanup(s.Stop)

	return s
}

// DSN is what ydb.Open takes. It stays the same over restarts.
func (s *Server) DSN() string { return "grpc://" + s.addr + server.DefaultDatabase }

// Database is the path that all paths of the server start with.
func (s *Server) Database() string { return server.DefaultDatabase }

// DropStreams cuts every connection, as a failing network does; clients may connect again at once. Sessions stay, by
// their timeouts.
func (s *Server) DropStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.conns.Cut()
}

// Stop stops the server in order: streams are told, what was acknowledged is kept for Restart. Once stopped it does
// nothing.
func (s *Server) Stop() { s.end(func() {}) }

// Kill stops the server as a crash does: connections break, nobody is told anything. What was acknowledged is kept for
// Restart.
func (s *Server) Kill() { s.end(func() { s.conns.Shut() }) }

// Restart starts the server again on the same address and data, after stopping it in order if it runs. Sessions have
// their timeout and the node's grace period to come back.
func (s *Server) Restart() {
	s.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		s.start()
	}
}

// start is called with mu held.
func (s *Server) start() {
	s.tb.Helper()

	records, err := s.disk.Open()
	if err != nil {
		s.tb.Fatalf("tenuretest: %v", err)
	}
	srv, err := server.New(func(c *serverconfig.Config) { c.Store = records })
	if err != nil {
		s.tb.Fatalf("tenuretest: %v", err)
	}
	lis, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.tb.Fatalf("tenuretest: %v", err)
	}
	s.addr, s.server = lis.Addr().String(), srv
	s.conns, s.serving = &conns.Set{}, make(chan error, 1)
	served, serving := s.conns.Listener(lis), s.serving
	go func() { serving <- srv.Serve(served) }() // end waits
}

// end stops the server, if it runs, after what is to be done first.
func (s *Server) end(first func()) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.server == nil {
		return
	}
	first()
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if err := s.server.Stop(ctx); err != nil {
		s.tb.Errorf("tenuretest: stop: %v", err)
	}
	if err := <-s.serving; err != nil {
		s.tb.Errorf("tenuretest: %v", err)
	}
	s.server = nil
}
