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

	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"github.com/ydb-platform/ydb-go-sdk/v3/scheme"
	"google.golang.org/grpc"

	"tenure/internal/clientconfig"
	"tenure/internal/clock"
	"tenure/internal/dsn"
	"tenure/internal/identity"
	"tenure/internal/limit"
	"tenure/internal/nocontext"
	"tenure/internal/session"
	"tenure/internal/ydberr"
)

// The default session timeout, and the range of session timeouts. The commands lock and workers use the same default.
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

// Client opens sessions and manages coordination nodes. It implements [coordination.Client]. Its methods are safe for
// concurrent use. Create a client with [Open] or [New].
//
// The path of a node is absolute and begins with [Client.Database]. A path that does not begin with a slash is an
// error.
type Client struct {
	refusing

	nodes nodeClient
	open  opener
	local embeddedServer // nil unless the server is the embedded one
	clock clock.Clock

	database string

	log *slog.Logger // nil if the client logs nothing

	attaching attaching

	opened func(clientconfig.Session) // called with each session before its first answer; may be nil

	mu         sync.Mutex // guards the fields below
	sessions   map[*Session]struct{}
	givenUp    map[string][]givenUp        // by the path of the node, oldest first
	graces     map[string]time.Duration    // the grace periods of nodes by path, as far as they are known
	disconnect func(context.Context) error // closes the connection; nil if it belongs to the caller
	closed     bool
}

var _ coordination.Client = (*Client)(nil)

// refusing tells package term that Session returns refusals, and when the client needs a look-up.
type refusing = clientconfig.Refusing

// Option configures a client. A nil Option has no effect.
type Option func(*clientconfig.Config)

// WithLogger sets the client's logger. By default the client logs nothing.
//
// The client logs when a session starts, reattaches and ends, and when a stream or a lease is lost. The entries contain
// the cause and the time since the node last proved that the session was alive. The client never logs users' data or
// keys.
//
// Sessions and leases do not wait for the handler of the logger. The client queues up to 64 entries for each session,
// and drops further entries while the queue is full. Close waits until the queue is written, or until its context ends.
func WithLogger(log *slog.Logger) Option { return func(c *clientconfig.Config) { c.Logger = log } }

// Embedded is the dsn that selects the embedded server. See [Open].
const Embedded = dsn.Embedded

// WithConnectTimeout limits the time that [Open] waits for the first answer of the server. If d is 0, the limit is the
// default of 10 s. If d is negative, only the context of Open limits the time.
func WithConnectTimeout(d time.Duration) Option {
	return func(c *clientconfig.Config) { c.ConnectTimeout = d }
}

// WithDriverOptions adds options for the driver that [Open] creates. They override the options that Open sets. The
// embedded server ignores them. For example, ydb.WithAccessTokenCredentials and ydb.WithStaticCredentials identify the
// program to the server. ydb.WithCertificatesFromFile trusts an authority that the system does not trust, and
// ydb.WithTLSConfig sets the certificate of the client.
//
// Before the driver connects, Open connects once to the address in the dsn, to find out what answers there. Of the
// options, this connection uses only the TLS settings. So if the options contain a dialer that connects to a different
// address, open the driver with ydb.Open and use [New] instead.
func WithDriverOptions(opts ...ydb.Option) Option {
	return func(c *clientconfig.Config) {
		for _, o := range opts {
			c.DriverOptions = append(c.DriverOptions, o)
		}
	}
}

// Open opens a client for a server. The dsn is the address of the server, such as grpc://localhost:2136/local, or
// grpcs://host:port/database for a server with TLS, or [Embedded] for the embedded server. If neither the dsn nor
// [WithDriverOptions] contains credentials, the client connects without credentials.
//
// The dsn unix:///run/tenure/socket is a server of this machine at a Unix socket. The parameter database names its
// database, if that is not /local. The server must belong to the user of this process, to root, or to the user whom the
// parameter user names, as in unix:///run/tenure/socket?user=tenure. Otherwise Open fails, because any user could have
// created the socket.
//
// The embedded server needs no installation. Of the processes that use the same state directory, one runs the server
// inside itself. When that process ends, another one takes over, and no lease is lost. [WithDir] sets the directory.
//
// Open returns when the server has answered. It fails as soon as it knows that the server will not answer, for example
// because the connection is refused or a different kind of server listens on the port. Otherwise it fails after the
// time set by [WithConnectTimeout], or when ctx ends. The error describes the problem and what to do about it.
func Open(ctx context.Context, dsn string, opts ...Option) (*Client, error) {
	cfg := clientconfig.New(opts)
	switch {
	case ctx == nil:
		return nil, nocontext.Err
	case dsn == Embedded:
		return openEmbedded(ctx, cfg)
	case dsn == "" && cfg.Setting == "":
		return nil, errors.New("the DSN is empty: pass tenure.Embedded to use the embedded server, or " +
			"grpc://host:port/database")
	}

	return openAddress(ctx, dsn, cfg)
}

// openAddress opens a client for the server at the address in text.
func openAddress(ctx context.Context, text string, cfg *clientconfig.Config) (*Client, error) {
	address, err := dsn.Parse(cmp.Or(cfg.Setting, "the DSN"), text)
	if err != nil {
		return nil, err
	}
	opts := append([]dsn.Option{WithQuickReconnect(), WithFixedWindows()}, cfg.DriverOptions...)
	db, err := dsn.Open(ctx, address.WithHints(cfg.Hints), cfg.ConnectTimeout, opts...)
	if err != nil {
		return nil, err
	}
	conn := ydb.GRPCConn(db)
	c := newClient(db.Coordination(), conn, cfg)
	c.disconnect, c.database = db.Close, address.Database
	if cfg.Driver != nil {
		invoke := func(ctx context.Context, method string, request, reply any) error {
			return conn.Invoke(ctx, method, request, reply)
		}
		cfg.Driver(clientconfig.Driver{Invoke: invoke, Discovery: db.Discovery(), Scheme: db.Scheme()})
	}

	return c, nil
}

// New returns a client that uses the driver db. The driver must stay open until the client is closed, and Close does
// not close it. Open the driver with [WithQuickReconnect] to make sessions survive short interruptions, and with
// [WithFixedWindows] to make requests cheaper.
//
// A program that calls New and not [Open] does not contain the embedded server, because the linker leaves it out.
//
// If db is nil, New returns nil. The methods of a nil Client return an error, except Close, which returns nil.
func New(db *ydb.Driver, opts ...Option) *Client {
	if db == nil {
		return nil
	}

	c := newClient(db.Coordination(), ydb.GRPCConn(db), clientconfig.New(opts))
	c.database = db.Name()

	return c
}

// Database returns the database of the server, such as /local. The path of each node on that server begins with it, so
// a program that is to work with any DSN uses paths such as client.Database()+"/app". For a nil Client, Database
// returns an empty string.
func (c *Client) Database() string {
	if c == nil {
		return ""
	}

	return c.database
}

func newClient(nodes nodeClient, conn grpc.ClientConnInterface, cfg *clientconfig.Config) *Client {
	c := &Client{
		nodes: nodes, open: newOpener(conn),
		clock: cfg.Clock, log: cfg.Logger, opened: cfg.Opened, attaching: newAttaching(),
		sessions: make(map[*Session]struct{}),
		givenUp:  make(map[string][]givenUp), graces: make(map[string]time.Duration),
	}
	c.Unknown = c.needsSettings

	return c
}

var errNilClient = errors.New("the client is nil: create it with Open or New")

// checkCall returns an error if the client is nil or closed, if ctx is nil, or if a request cannot contain the path and
// the config.
func (c *Client) checkCall(ctx context.Context, op, path string, config coordination.NodeConfig) error {
	switch {
	case c == nil:
		return fmt.Errorf("%s %s: %w", op, limit.Quote(path), errNilClient)
	case ctx == nil:
		return fmt.Errorf("%s %s: %w", op, limit.Quote(path), nocontext.Err)
	case c.isClosed():
		return fmt.Errorf("%s %s: %w", op, limit.Quote(path), ydberr.ErrClientClosed)
	}

	return c.checkNode(op, path, config)
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.closed
}

// CreateNode creates a coordination node, and the parent directories that are missing. If the node already exists,
// CreateNode leaves it unchanged and returns nil.
func (c *Client) CreateNode(ctx context.Context, path string, config coordination.NodeConfig) error {
	if err := c.checkCall(ctx, "create node", path, config); err != nil {
		return err
	}

	return nodeError("create node", path, c.nodes.CreateNode(ctx, path, config))
}

// AlterNode changes the settings of a node. Fields of config that are zero leave the node's setting unchanged.
func (c *Client) AlterNode(ctx context.Context, path string, config coordination.NodeConfig) error {
	if err := c.checkCall(ctx, "alter node", path, config); err != nil {
		return err
	}

	return nodeError("alter node", path, c.nodes.AlterNode(ctx, path, config))
}

// DropNode removes a node with all its sessions and semaphores.
func (c *Client) DropNode(ctx context.Context, path string) error {
	if err := c.checkCall(ctx, "drop node", path, coordination.NodeConfig{}); err != nil {
		return err
	}

	return nodeError("drop node", path, c.nodes.DropNode(ctx, path))
}

// DescribeNode returns the scheme entry and the settings of a node.
func (c *Client) DescribeNode(ctx context.Context, path string) (*scheme.Entry, *coordination.NodeConfig, error) {
	if err := c.checkCall(ctx, "describe node", path, coordination.NodeConfig{}); err != nil {
		return nil, nil, err
	}

	entry, config, err := c.nodes.DescribeNode(ctx, path)
	c.learn(path, config)

	return entry, config, nodeError("describe node", path, err)
}

// Session opens a session on the node at path. It returns when the server has created the session. If the server
// refuses the session, for example because the node does not exist or the caller has no access to it, Session returns
// an error. The SDK's checks, such as ydb.IsOperationErrorNotFoundError, work on this error. Session retries transient
// failures until ctx ends.
//
// The returned session is a [*Session]. It does not end when ctx ends, so the caller must close it.
//
// The session timeout is [DefaultSessionTimeout] unless [options.WithSessionTimeout] sets it. It must be between
// [MinSessionTimeout] and [MaxSessionTimeout], and fractions of a millisecond are dropped. The other durations among
// the session options limit single steps, and must be positive. The client shortens them if the session timeout
// requires it. Leave out options.WithSessionStopTimeout: in ydb-go-sdk it sets what options.WithSessionStartTimeout
// sets.
//
// Without [options.WithDescription], the description of the session names the process, such as
// "alice@ci-3, pid 42 (backup)".
func (c *Client) Session(
	ctx context.Context, path string, opts ...options.SessionOption,
) (coordination.Session, error) {
	if c == nil {
		return nil, fmt.Errorf("open session on node %s: %w", limit.Quote(path), errNilClient)
	}
	if ctx == nil {
		return nil, fmt.Errorf("open session on node %s: %w", limit.Quote(path), nocontext.Err)
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
	if err := c.checkPath("open session on node", path); err != nil {
		return nil, err
	}
	if c.local != nil { // local.Dial limits the rate of attempts, and hosts may change often
		cfg.ReconnectDelay = min(cfg.ReconnectDelay, defaultReconnectDelay/5)
		cfg.LongestPause = cfg.ReconnectDelay
	}
	s := newSession(ctx, c, cfg)
	if err := s.makeLifeline(ctx, cfg.Key); err != nil {
		return nil, fmt.Errorf("open session on node %q: %w", path, err)
	}
	if !c.begin(s) {
		s.lifeline.Release()

		return nil, fmt.Errorf("open session on node %q: %w", path, ydberr.ErrClientClosed)
	}
	if c.opened != nil {
		c.opened(probe{s})
	}
	clientconfig.Follow(ctx, s.lastAttempt)
	if err := s.awaitStart(ctx); err != nil {
		return nil, err
	}

	return s, nil
}

// sessionConfig checks the options and converts them to the settings of the core.
func sessionConfig(path string, o options.CreateSessionOptions) (session.Config, error) {
	if o.SessionTimeout < MinSessionTimeout || o.SessionTimeout > MaxSessionTimeout {
		return session.Config{}, fmt.Errorf("session timeout %v is out of range: must be between %v and %v",
			o.SessionTimeout, MinSessionTimeout, MaxSessionTimeout)
	}
	for _, set := range []struct {
		option string
		to     time.Duration
	}{
		{"WithSessionStartTimeout", o.SessionStartTimeout},
		{"WithSessionStopTimeout", o.SessionStopTimeout},
		{"WithSessionKeepAliveTimeout", o.SessionKeepAliveTimeout},
		{"WithSessionReconnectDelay", o.SessionReconnectDelay},
	} {
		if set.to <= 0 {
			return session.Config{}, fmt.Errorf("options.%s is set to %v: must be greater than zero", set.option, set.to)
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

// begin starts a session, unless the client is closed. It holds mu meanwhile, so that Close cannot find a session that
// has not been started.
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

// Close closes the sessions of the client, and then its connection if [Open] made it. If this process hosts the
// embedded server for the client, another process takes over. When Close returns, all goroutines of the client have
// ended.
//
// Close makes one last attempt to end the sessions that were lost, which takes up to a second if the server is silent.
//
// If ctx ends first, Close returns an error for each session that it could not close on the server. These sessions end
// there when their timeout has passed. Later calls to [Client.Session] fail. Calling Close again is safe.
func (c *Client) Close(ctx context.Context) error {
	if c == nil {
		return nil
	}
	ctx = nocontext.Or(ctx)
	c.dismissAll()
	c.mu.Lock()
	c.closed = true
	var errs []error
	var closing sync.WaitGroup
	var mu sync.Mutex // guards errs
	for s := range c.sessions {
		closing.Go(func() {
			err := s.Close(ctx)
			s.abort()
			if s.ending {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	disconnect := c.disconnect
	c.disconnect = nil
	c.mu.Unlock()

	closing.Wait()
	if disconnect != nil {
		errs = append(errs, disconnect(ctx))
	}
	if c.local != nil {
		errs = append(errs, c.local.Close(ctx))
	}

	return errors.Join(errs...)
}
