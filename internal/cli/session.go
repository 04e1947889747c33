package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ydb-platform/ydb-go-sdk-auth-environ"
	"github.com/ydb-platform/ydb-go-sdk/v3"

	"tenure"
	"tenure/internal/ydberr"
)

// Limits of -timeout: a server that is busy, or a network that stutters, costs less than a second.
const (
	minTimeout = time.Second
	maxTimeout = 30 * time.Minute
)

// openLimit bounds the time until a server has answered.
const openLimit = 5 * time.Second

// Session says where a command opens its sessions, and how; it is what the flags shared by lock and workers set.
type Session struct {
	DSN      string // empty: the embedded server
	Dir      string // of the embedded server; empty: the default
	Path     string // after Check: the coordination node
	Timeout  time.Duration
	NoCreate bool

	host string // host:port of the server
}

// Flags returns the rows of the flags that set s.
func (s *Session) Flags() []Flag {
	s.Timeout = 10 * time.Second

	return []Flag{
		{
			Name: "ydb", Arg: "DSN", Env: "TENURE_DSN", Value: &s.DSN,
			Usage: "the server: grpc://host:port/database, or grpcs://; none: embedded",
		},
		{Name: "dir", Arg: "DIR", Value: &s.Dir, Usage: "state directory of the embedded server"},
		{Name: "path", Arg: "PATH", Value: &s.Path, Usage: "coordination node (default <database>/tenure)"},
		{Name: "no-create", Value: &s.NoCreate, Usage: "fail when the node does not exist"},
		{
			Name: "timeout", Arg: "D", Value: &s.Timeout,
			Usage: "how long one that has died still keeps what it held, 1s to 30m",
		},
	}
}

// Check looks at what the flags have set, and completes it.
func (s *Session) Check() error {
	database := tenure.EmbeddedDatabase
	if s.DSN != "" {
		var err error
		if s.host, database, err = parseDSN(s.DSN); err != nil {
			return err
		}
	}
	if s.Path == "" {
		s.Path = database + "/tenure"
	}
	if s.Path[0] != '/' {
		return fmt.Errorf("-path=%q is not absolute: write %s/%s", s.Path, database, s.Path)
	}
	if s.Timeout < minTimeout || s.Timeout > maxTimeout {
		return fmt.Errorf("-timeout=%v is not within 1s and 30m", s.Timeout)
	}

	return nil
}

// parseDSN returns the server's host:port and the database.
func parseDSN(dsn string) (host, database string, err error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "grpc" && u.Scheme != "grpcs" || u.Hostname() == "" {
		return "", "", badDSN(dsn, "not a server's address")
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 {
		return "", "", badDSN(dsn, "without a usable port")
	}
	database = u.Path
	if q := u.Query().Get("database"); q != "" {
		database = q
	}
	database = strings.TrimRight(database, "/")
	if database == "" {
		return "", "", badDSN(dsn, "without a database")
	}

	return u.Host, database, nil
}

// badDSN names a DSN without the password that may be in it.
func badDSN(dsn, what string) error {
	if u, err := url.Parse(dsn); err == nil {
		dsn = u.Redacted()
	}

	return fmt.Errorf("-ydb=%q is %s: write grpc://host:port/database, e.g. grpc://localhost:2136/local", dsn, what)
}

// A Client is a client of the server, with what is to be closed when it is no longer needed.
type Client struct {
	*tenure.Client

	db *ydb.Driver // nil: the client's own
}

// Open connects to the server, after Check, or becomes the embedded one. What keeps that from serving later is handed
// to notice. Credentials come from the variables YDB_*.
func (s *Session) Open(ctx context.Context, notice func(line string)) (*Client, error) {
	if s.DSN == "" {
		client, err := tenure.Open(ctx, "", tenure.WithDir(s.Dir), tenure.WithNotice(notice))
		if err != nil {
			return nil, err
		}

		return &Client{Client: client}, nil
	}

	limited, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	if err := s.reach(limited); err != nil { // says at once what the SDK would try until the limit
		return nil, fmt.Errorf(`no server at %s (%w): start one with "tenure serve", or check -ydb`, s.host, err)
	}
	db, err := ydb.Open(limited, s.DSN, environ.WithEnvironCredentials(), tenure.WithQuickReconnect())
	switch {
	case err == nil:
		return &Client{Client: tenure.New(db), db: db}, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case limited.Err() != nil:
		return nil, fmt.Errorf("no answer from %s within %v: check -ydb, its port, and whether it is grpc:// or grpcs://",
			s.host, openLimit)
	}

	return nil, ydberr.Wrap("connect to "+s.host, err)
}

// reach reports why no connection to the server can be made. Behind a proxy that cannot be told.
func (s *Session) reach(ctx context.Context) error {
	target := &http.Request{URL: &url.URL{Scheme: "https", Host: s.host}}
	if proxy, err := http.ProxyFromEnvironment(target); err != nil || proxy != nil {
		return nil //nolint:nilerr // the SDK will find out
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.host)
	if err != nil {
		return dialReason(err)
	}

	return conn.Close()
}

// dialReason returns the cause of err without the addresses, which the caller names.
func dialReason(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return errors.New("no such host")
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		return errors.New("it does not answer")
	}

	return err
}

// Self says who holds what a command holds: user, host and process.
func Self(env *Env) []byte {
	user, ok := env.LookupEnv("USER")
	if !ok {
		user = strconv.Itoa(os.Getuid())
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}

	return fmt.Appendf(nil, "%s@%s pid %d", user, host, os.Getpid())
}

// closeLimit bounds the time that a client takes to close.
const closeLimit = 2 * time.Second

// Close closes the client, also when ctx has ended. The driver does not heed that its time is over: then it is left to
// the end of the process, which comes next.
func (c *Client) Close(ctx context.Context) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = c.Client.Close(limited) // no session is left
		if c.db != nil {
			_ = c.db.Close(limited)
		}
	}()
	select {
	case <-closed:
	case <-limited.Done():
	}
}
