package tenure

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/config"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"github.com/ydb-platform/ydb-go-sdk/v3/scheme"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"

	"tenure/internal/clientconfig"
	"tenure/internal/clock"
	"tenure/internal/dsn"
	"tenure/internal/embedded"
	"tenure/internal/identity"
	"tenure/internal/limit"
	"tenure/internal/session"
)

// The default session timeout, which the commands of the project use too, and the range of session timeouts.
const (
	DefaultSessionTimeout = limit.DefaultTimeout // 10 s
	MinSessionTimeout     = limit.MinTimeout     // 100 ms
	MaxSessionTimeout     = limit.MaxTimeout     // 30 minutes
)

const (
	defaultStartTimeout   = time.Second
	defaultStopTimeout    = time.Second
	defaultKeepAlive      = 10 * time.Second
	defaultReconnectDelay = 50 * time.Millisecond
)

// Client opens sessions. Its methods may be called from several goroutines.
type Client struct {
	nodes coordination.Client // the calls about nodes are the SDK's
	stub  Ydb_Coordination_V1.CoordinationServiceClient
	local *embedded.Local // nil: the server is not the embedded one
	clock clock.Clock
	log   *slog.Logger // nil: silent

	opened func(clientconfig.Session) // nil: does nothing

	mu       sync.Mutex // guards the rest
	sessions map[*Session]struct{}
	driver   *ydb.Driver // to be closed with the client; nil: it is borrowed
	closed   bool
}

var _ coordination.Client = (*Client)(nil)

// Option sets one of a client's settings; the functions WithX of this package return one. A nil Option has no effect.
type Option func(*clientconfig.Config)

// WithLogger gives the client a log: sessions that start, attach again and end, and streams and leases that are lost,
// with the causes and the time since the node's last proof of life. Users' data and keys are never logged. A handler
// that blocks holds up nothing else. Without this option the client is silent.
func WithLogger(log *slog.Logger) Option { return func(c *clientconfig.Config) { c.Logger = log } }

// Embedded stands for the embedded server in place of an address; see [Open].
const Embedded = dsn.Embedded

// WithConnectTimeout limits the time that Open waits for the first answer of the server. The default is 10 s. With a
// negative d, only the context limits it.
func WithConnectTimeout(d time.Duration) Option {
	return func(c *clientconfig.Config) { c.ConnectTimeout = d }
}

// WithDriverOptions passes options to the driver that Open opens, such as credentials or certificates. They override
// the client's own. Before the driver connects, Open connects to the address of the DSN once without them, except for
// their TLS settings, to find out what answers there. If they contain a dialer that leads elsewhere, open the driver
// with ydb.Open and use [New] instead. The embedded server ignores them.
func WithDriverOptions(opts ...ydb.Option) Option {
	return func(c *clientconfig.Config) { c.DriverOptions = append(c.DriverOptions, opts...) }
}

// Open opens a client for a server. The dsn is the server's address, such as grpc://localhost:2136/local, or grpcs://
// for a server with TLS, or [Embedded]. Without [WithDriverOptions] and without a user in the dsn, there are no
// credentials.
//
// The embedded server needs no installation. Of the processes that use the same state directory, one runs the server
// inside itself. When that process ends, another one takes over, and no lease is lost; see [WithDir].
//
// Open returns when the server has answered. It fails as soon as it knows that the server will not answer, for example
// because the connection is refused or something else listens on the port, and otherwise after the time set by
// [WithConnectTimeout] or when ctx ends. The error says what is wrong and what to do.
func Open(ctx context.Context, dsn string, opts ...Option) (*Client, error) {
	cfg := clientconfig.New(opts)
	switch {
	case dsn == Embedded:
		return openEmbedded(ctx, cfg)
	case dsn == "" && cfg.Setting == "":
		return nil, errors.New("dsn is empty: pass tenure.Embedded to use the embedded server, or grpc://host:port/database")
	}

	return openAddress(ctx, dsn, cfg)
}

// openAddress opens a client for the server at an address.
func openAddress(ctx context.Context, text string, cfg *clientconfig.Config) (*Client, error) {
	address, err := dsn.Parse(cmp.Or(cfg.Setting, "dsn"), text)
	if err != nil {
		return nil, err
	}
	db, err := address.Open(ctx, cfg.ConnectTimeout, append([]ydb.Option{WithQuickReconnect()}, cfg.DriverOptions...)...)
	if err != nil {
		return nil, err
	}
	c := newClient(db.Coordination(), ydb.GRPCConn(db), cfg)
	c.driver = db

	return c, nil
}

// WithQuickReconnect is an option of ydb.Open, which Open sets by itself: connections are tried again after 50 to
// 250 ms instead of one second and more, and those on which nothing is acknowledged are given up after two seconds
// instead of ten. Without it a session may not find its way back within a timeout of a few seconds.
func WithQuickReconnect() ydb.Option {
	return ydb.With(config.WithGrpcOptions(
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 250 * time.Millisecond,
			},
			MinConnectTimeout: 3 * time.Second,
		}),
		// Where the system has it, the timeout is TCP's for unacknowledged data too (TCP_USER_TIMEOUT).
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 10 * time.Second, Timeout: 2 * time.Second, PermitWithoutStream: true,
		}),
	))
}

// New returns a client that works over a driver, which stays the caller's and must outlive it. The driver is best
// opened with [WithQuickReconnect].
//
// If db is nil, New returns nil. The methods of a nil Client return an error, except Close, which does nothing.
func New(db *ydb.Driver, opts ...Option) *Client {
	if db == nil {
		return nil
	}

	return newClient(db.Coordination(), ydb.GRPCConn(db), clientconfig.New(opts))
}

func newClient(nodes coordination.Client, conn grpc.ClientConnInterface, cfg *clientconfig.Config) *Client {
	return &Client{
		nodes: nodes, stub: Ydb_Coordination_V1.NewCoordinationServiceClient(conn),
		clock: cfg.Clock, log: cfg.Logger, opened: cfg.Opened,
		sessions: make(map[*Session]struct{}),
	}
}

var errNilClient = errors.New("the client is nil: create it with Open or New")

// checkNode returns an error if the client is nil, or if no request can hold the path.
func (c *Client) checkNode(op, path string) error {
	if c == nil {
		return fmt.Errorf("%s %s: %w", op, quote(path), errNilClient)
	}

	return checkPath(op, path)
}

// CreateNode makes a coordination node and the directories above it; one that exists stays as it is (N1).
func (c *Client) CreateNode(ctx context.Context, path string, config coordination.NodeConfig) error {
	if err := c.checkNode("create node", path); err != nil {
		return err
	}

	return c.nodes.CreateNode(ctx, path, config)
}

// AlterNode changes the settings of a node (N2).
func (c *Client) AlterNode(ctx context.Context, path string, config coordination.NodeConfig) error {
	if err := c.checkNode("alter node", path); err != nil {
		return err
	}

	return c.nodes.AlterNode(ctx, path, config)
}

// DropNode removes a node with everything in it (N3).
func (c *Client) DropNode(ctx context.Context, path string) error {
	if err := c.checkNode("drop node", path); err != nil {
		return err
	}

	return c.nodes.DropNode(ctx, path)
}

// DescribeNode returns a node's settings (N4).
func (c *Client) DescribeNode(ctx context.Context, path string) (*scheme.Entry, *coordination.NodeConfig, error) {
	if err := c.checkNode("describe node", path); err != nil {
		return nil, nil, err
	}

	return c.nodes.DescribeNode(ctx, path)
}

// Session starts a session on the node at the path. It returns when the server has made it, or refuses it, which is an
// error on which the SDK's checks work: a missing node, missing rights. What can pass is tried again until ctx ends.
// The session goes on when ctx has ended: close it.
//
// The timeout is a whole number of milliseconds from MinSessionTimeout to MaxSessionTimeout, and DefaultSessionTimeout
// by default. The SDK's other session options limit single steps; the client shortens them when the timeout requires it.
// A session without a description gets that of its process, such as "alice@ci-3, pid 42 (backup)".
func (c *Client) Session(
	ctx context.Context, path string, opts ...options.SessionOption,
) (coordination.Session, error) {
	if c == nil {
		return nil, fmt.Errorf("open session on node %s: %w", quote(path), errNilClient)
	}
	o := options.CreateSessionOptions{
		SessionTimeout:          DefaultSessionTimeout,
		SessionStartTimeout:     defaultStartTimeout,
		SessionStopTimeout:      defaultStopTimeout,
		SessionKeepAliveTimeout: defaultKeepAlive,
		SessionReconnectDelay:   defaultReconnectDelay,
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	cfg, err := sessionConfig(path, o)
	if err != nil {
		return nil, fmt.Errorf("open session on node %q: %w", path, err)
	}
	if err := checkRequest("open session on node", path, cfg.Start(0, 0)); err != nil {
		return nil, err
	}
	if c.local != nil { // it paces the attempts by itself, and hosts may come and go
		cfg.ReconnectDelay = min(cfg.ReconnectDelay, defaultReconnectDelay/5)
		cfg.LongestPause = cfg.ReconnectDelay
	}
	s := newSession(ctx, c, cfg)
	if err := s.makeLifeline(ctx, cfg.Key); err != nil {
		return nil, fmt.Errorf("open session on node %q: %w", path, err)
	}
	if !c.begin(s) {
		s.lifeline.Release()

		return nil, fmt.Errorf("open session on node %q: the client is closed", path)
	}
	if c.opened != nil {
		c.opened(probe{s})
	}
	if err := s.awaitStart(ctx); err != nil {
		return nil, err
	}

	return s, nil
}

// sessionConfig checks the options and makes them the core's.
func sessionConfig(path string, o options.CreateSessionOptions) (session.Config, error) {
	if o.SessionTimeout < MinSessionTimeout || o.SessionTimeout > MaxSessionTimeout {
		return session.Config{}, fmt.Errorf("session timeout %v is not within %v and %v", o.SessionTimeout,
			MinSessionTimeout, MaxSessionTimeout)
	}
	for _, d := range []time.Duration{
		o.SessionStartTimeout, o.SessionStopTimeout, o.SessionKeepAliveTimeout, o.SessionReconnectDelay,
	} {
		if d <= 0 {
			return session.Config{}, errors.New("a session option has a duration that is not above zero")
		}
	}
	if o.Description == "" {
		o.Description = identity.Self()
	}
	random := make([]byte, 24)
	rand.Read(random) // never fails

	return session.Config{
		Path: path, Description: o.Description, Key: random[:16], Seed: binary.LittleEndian.Uint64(random[16:]),
		Timeout:      o.SessionTimeout.Truncate(time.Millisecond),
		StartTimeout: o.SessionStartTimeout, StopTimeout: o.SessionStopTimeout,
		Silence: o.SessionKeepAliveTimeout, ReconnectDelay: o.SessionReconnectDelay,
	}, nil
}

// begin starts a session, unless the client is closed. It does so with mu held, lest Close finds one that has not been
// started.
func (c *Client) begin(s *Session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.sessions[s] = struct{}{}
	s.start()

	return true
}

func (c *Client) remove(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, s)
}

// Close closes the client's sessions, as their Close does, and then the driver if Open opened it. A process that hosts
// the embedded server makes way for another one. When ctx ends, what is not closed is left to the timeouts of its
// sessions, and the error says so. No goroutine of the client is left.
// Later calls of Session fail. Twice is fine.
func (c *Client) Close(ctx context.Context) error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	c.closed = true
	var errs []error
	var closing sync.WaitGroup
	var mu sync.Mutex // guards errs
	for s := range c.sessions {
		closing.Go(func() {
			err := s.Close(ctx)
			s.abort()
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	driver := c.driver
	c.driver = nil
	c.mu.Unlock()

	closing.Wait()
	if driver != nil {
		errs = append(errs, driver.Close(ctx))
	}
	if c.local != nil {
		errs = append(errs, c.local.Close(ctx)) // once; this process hosts no longer
	}

	return errors.Join(errs...)
}
