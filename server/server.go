package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"

	"tenure/internal/access"
	"tenure/internal/advertise"
	"tenure/internal/audit"
	"tenure/internal/catalog"
	"tenure/internal/clock"
	"tenure/internal/conns"
	"tenure/internal/nocontext"
	"tenure/internal/peercred"
	"tenure/internal/peerkey"
	"tenure/internal/printable"
	"tenure/internal/quota"
	"tenure/internal/serverconfig"
	"tenure/internal/store"
	"tenure/internal/turns"
)

// DefaultDatabase is the database of a server without the option [WithDatabase].
const DefaultDatabase = "/local"

// Server is a coordination server. Its methods may be called from several goroutines.
type Server struct {
	log     *slog.Logger
	store   store.Store
	clock   clock.Clock
	catalog *catalog.Catalog
	nodes   *nodes
	front   *front // nil: no other server uses the store
	grpc    *grpc.Server
	conns   conns.Set // gRPC does not track a connection before its first frame, and would wait two minutes for it in Stop
	health  *health.Server

	limits     Limits
	counts     counts
	refusals   *refusals
	denials    *denials
	inProgress atomic.Int64 // calls that are streams, also those that are not sessions, without watches
	pings      atomic.Int64 // frequent ones, in a second
	watches    watches      // of the server's health
	turns      *turns.Turns // of connections and streams with large messages
	waiting    waiting
	quota      *quota.Server
	advertise  *advertise.Endpoint // nil: the address that each client has used
	access     *access.Authority   // nil: the server has no users, and every caller has all rights
	tokens     accessFile
	trusts     serverconfig.Trusts // nil: everybody with a certificate that TLS has accepted

	streams    sync.WaitGroup // goroutines of streams
	lastStream atomic.Uint64
	open       atomic.Int64 // streams

	draining atomic.Bool

	stopping sync.Once
	stopped  chan struct{} // closed when Stop is done; err is set before
	err      error

	failing sync.Once
	failed  chan struct{} // closed when the store has failed; failure is set before
	failure error
}

// New opens the server's store and loads the tree of nodes. The caller must call Stop, even if it never calls Serve. If
// the data directory is in use, damaged or of a newer version, the error says what to do.
func New(opts ...Option) (*Server, error) {
	var c serverconfig.Config
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	if err := cmp.Or(checkTLS(&c), checkLifetime(&c)); err != nil {
		return nil, err
	}
	log := slog.New(printable.Handler(cmp.Or(c.Logger, slog.New(slog.DiscardHandler)).Handler()))
	advertised, err := parseAdvertise(&c)
	if err != nil {
		return nil, err
	}
	limits, err := withDefaults(Limits(c.Limits), openFiles())
	if err != nil {
		return nil, err
	}
	records, err := openStore(&c, log)
	if err != nil {
		return nil, err
	}
	database := DefaultDatabase
	if c.Database != nil {
		database = *c.Database
	}
	tree, err := catalog.Open(context.Background(), records, database)
	if err != nil {
		return nil, errors.Join(err, records.Close())
	}
	clk := c.Clock
	if clk == nil {
		clk = clock.System()
	}

	s := &Server{
		log: log, store: records, clock: clk, catalog: tree, health: health.NewServer(), limits: limits,
		turns: turns.New(clk), advertise: advertised, trusts: c.Trusts,
		stopped: make(chan struct{}), failed: make(chan struct{}),
	}
	s.refusals = newRefusals(&s.counts.limits, log, clk)
	s.denials = newDenials(&s.counts.denials, c.Audit, log, clk)
	s.limitConnections()
	if s.front, err = newFront(&c, records, limits, clk, log); err != nil {
		return nil, errors.Join(err, records.Close())
	}
	if err := s.openAccess(&c); err != nil {
		return nil, errors.Join(err, records.Close())
	}
	s.quota = s.newQuota()
	env := s.ownerEnv(&c)
	tree.Limit(catalog.Limits{
		Entries: limits.Nodes, Full: env.diskFull, Refused: func(limit string) { s.refusals.add(limit) },
	})
	s.nodes = newNodes(tree, env, s.fail)
	s.grpc = s.newGRPC(peercred.New(c.TLS), c.Services)
	s.showHealth()
	s.begin(&c)

	return s, nil
}

// begin starts what the server does by itself, and lets others look into it.
func (s *Server) begin(c *serverconfig.Config) {
	if s.front != nil {
		s.front.nodes, s.nodes.front, s.nodes.env.contact = s.nodes, s.front, s.front.contact
		s.nodes.running.Go(func() { s.front.watchContact(s.nodes.ctx) })
		s.nodes.running.Go(func() { s.front.watchMembers(s.nodes.ctx) })
		s.nodes.running.Go(func() { s.moveNodes(s.nodes.ctx) })
	}
	if wait := s.catalog.Wait(); wait > 0 {
		s.nodes.running.Go(func() { s.nodes.thaw(wait) })
	}
	if s.access != nil || s.trusts != nil {
		s.nodes.running.Go(func() { s.watchAccess(s.nodes.ctx) })
	}
	if c.Admin != nil {
		s.fill(c.Admin)
		s.nodes.running.Go(func() { s.watchHealth(s.nodes.ctx) })
	}
	s.nodes.env.audit.Write(audit.Event{Kind: audit.Start})
	s.guardPlace(c.InPlace)
	if c.Control != nil {
		c.Control.Expire = s.expire
	}
}

func (s *Server) limitConnections() {
	limits := s.limits
	s.conns.Limit(conns.Limits{
		Total: limits.Connections, PerAddress: limits.ConnectionsPerAddress,
		Calls: limits.StreamsPerConnection, CallRate: limits.CallRate, FrameRate: limits.FrameRate,
		Unfinished: limits.UnfinishedBytes, Patience: limits.StartTimeout,
		Clock: s.clock, Turns: s.turns, Refused: func(limit, address string) { s.refusals.add(limit, "address", address) },
		Trusted: func(i credentials.AuthInfo) bool { _, ok := i.(peerkey.Info); return ok },
	})
}

// ownerEnv returns what the owners of nodes use.
func (s *Server) ownerEnv(c *serverconfig.Config) *ownerEnv {
	env := &ownerEnv{
		store: s.store, clock: s.clock, log: s.log, lifelines: c.Lifelines, refusals: s.refusals, denials: s.denials,
		limits: s.limits, audit: c.Audit, quota: s.quota.User(s.clock.Now(), ""), stats: c.Admin != nil && c.Admin.Count,
		counts: &s.counts, loading: c.Loading,
	}
	if env.loading == nil {
		env.loading = func() (loaded func()) { return func() {} }
	}
	if !c.NoDiskReserve {
		env.disk, _ = s.store.(fullDisk)
	}

	return env
}

// Serve accepts connections on the listener until Stop is called or the store fails, and closes the listener. It
// returns nil after Stop. Serve may be called for several listeners.
func (s *Server) Serve(lis net.Listener) error {
	if lis == nil {
		return errors.New("server: Serve: the listener is nil")
	}
	err := s.grpc.Serve(s.conns.Listener(lis))
	if failure := s.storeFailure(); failure != nil {
		return failure
	}
	if err == nil || errors.Is(err, grpc.ErrServerStopped) { // Stop was called, perhaps before Serve
		return nil
	}

	return fmt.Errorf("serve on %s: %w", lis.Addr(), err)
}

// fail stops serving after a failed commit. Only opening the store again shows what it now holds.
func (s *Server) fail(err error) {
	s.failing.Do(func() {
		s.log.ErrorContext(s.nodes.ctx, "store failed: stopping the server", "error", err)
		s.failure = err
		close(s.failed)
		go s.cut() // not awaited: this is an owner's goroutine, and Stop waits for that
	})
}

// storeFailure returns the error with which the store has failed, or nil.
func (s *Server) storeFailure() error {
	select {
	case <-s.failed:
		return s.failure
	default:
		return nil
	}
}

// Stop shuts the server down cleanly. It ends all streams with a failure that lets clients attach to another server
// immediately, lets unary calls finish, and closes the store. Sessions stay. When ctx ends, Stop breaks the connections
// that are left. The error is that of the store, if the store has failed or cannot be closed. All calls return when the
// server has stopped, with the same error.
func (s *Server) Stop(ctx context.Context) error {
	ctx = nocontext.Or(ctx) // the server must stop nevertheless
	s.stopping.Do(func() {
		defer close(s.stopped)

		s.health.Shutdown()
		s.leave(ctx)
		s.waiting.stop()
		s.conns.Hurry()
		late, cancel := context.WithTimeout(ctx, lateStart)
		defer cancel()
		context.AfterFunc(late, s.waiting.end)
		cut := context.AfterFunc(ctx, s.cut)
		drained := make(chan struct{})
		go func() { // before streams end, so that they cannot come back over the same connection
			defer close(drained)
			s.grpc.GracefulStop()
		}()
		s.nodes.stop()
		<-drained
		s.nodes.ended()
		cut()
		s.streams.Wait()
		if s.front != nil {
			s.front.pool.Close()
		}
		s.err = s.store.Close()
		if failure := s.storeFailure(); failure != nil {
			s.err = failure
		}
	})
	<-s.stopped

	return s.err
}

// cut ends all connections and waits for their calls.
func (s *Server) cut() {
	s.conns.Shut()
	s.grpc.Stop()
}
