package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/ydb-platform/ydb-go-sdk-auth-environ"
	"github.com/ydb-platform/ydb-go-sdk/v3"

	"tenure"
	"tenure/internal/clock"
	"tenure/internal/embedded"
	"tenure/internal/ydberr"
)

// Limits of --timeout. A busy server, or a network that stutters, stays below the lower one.
const (
	minTimeout = time.Second
	maxTimeout = 30 * time.Minute
)

// openLimit is the time limit for the first connection.
const openLimit = 5 * time.Second

// Embedded is the value of --ydb for the embedded server.
const Embedded = "embedded"

// A Session holds the settings that lock and workers share: which server to use, and how to open a session on it.
type Session struct {
	DSN      string // "embedded": the embedded server
	Dir      string // state directory of the embedded server; empty until Check has chosen one
	Path     string // coordination node; empty until Check has completed it
	Timeout  time.Duration
	NoCreate bool

	env      *Env
	cmd      *cobra.Command
	host     string // host:port of the server
	database string // of the server
}

// AddFlags adds the flags that set s to cmd.
func (s *Session) AddFlags(cmd *cobra.Command, env *Env) {
	s.env, s.cmd = env, cmd
	s.DSN, s.Timeout = Embedded, 10*time.Second
	AddFlags(cmd,
		DSNFlag(&s.DSN),
		DirFlag(&s.Dir, env, func() bool { return s.DSN == Embedded }),
		Flag{
			Name: "path", Arg: "PATH", Example: "/local/tenure", Value: &s.Path, Default: s.defaultPath,
			Usage: "coordination node, created if missing (default <database>/tenure)",
		},
		Flag{Name: "no-create", Value: &s.NoCreate, Usage: "fail if the node does not exist"},
		Flag{
			Name: "timeout", Arg: "D", Example: "10s", Value: &s.Timeout,
			Usage: "session timeout: how long locks of a crashed process stay locked, 1s to 30m",
		},
	)
}

// DSNFlag is the row of --ydb.
func DSNFlag(dsn *string) Flag {
	return Flag{
		Name: "ydb", Arg: "DSN", Example: "grpc://localhost:2136/local", Env: "TENURE_DSN", Value: dsn,
		Usage: "server: grpc://host:port/database, grpcs://..., or embedded",
	}
}

// DirFlag is the row of --dir. Used reports whether the command uses the embedded server.
func DirFlag(dir *string, env *Env, used func() bool) Flag {
	return Flag{
		Name: "dir", Arg: "DIR", Example: "/path/to/directory", Value: dir,
		Usage: "state directory of the embedded server (default: see above)",
		Default: func() (value, source string, err error) {
			if !used() {
				return "", "not used", nil
			}
			choice, err := embedded.DefaultDir(env.LookupEnv)

			return choice.Dir, choice.Source, err
		},
	}
}

// ChooseDir returns the state directory that --dir, its variable or the environment chooses, as an absolute path, and
// the name of what chose it.
func ChooseDir(env *Env, cmd *cobra.Command, dir string) (embedded.Choice, error) {
	choice := embedded.Choice{Dir: dir, Source: Setting(cmd, "dir")}
	if dir == "" {
		var err error
		if choice, err = embedded.DefaultDir(env.LookupEnv); err != nil {
			return choice, err
		}
	}
	abs, err := filepath.Abs(choice.Dir)
	if err != nil {
		return choice, fmt.Errorf("%s=%q: %w", choice.Source, dir, err)
	}
	choice.Dir = abs

	return choice, nil
}

func (s *Session) embedded() bool { return s.DSN == Embedded }

func (s *Session) defaultPath() (value, source string, err error) {
	database := tenure.EmbeddedDatabase
	if !s.embedded() {
		if _, database, err = parseDSN(Setting(s.cmd, "ydb"), s.DSN); err != nil {
			return "", "", err
		}
	}

	return database + "/tenure", "default", nil
}

// Check checks the values of the flags, and completes those that are not given.
func (s *Session) Check() error {
	database := tenure.EmbeddedDatabase
	if s.embedded() {
		choice, err := ChooseDir(s.env, s.cmd, s.Dir)
		if err != nil {
			return err
		}
		s.Dir = choice.Dir
		s.verbose(fmt.Sprintf("using the embedded server in %s (from %s)", choice.Dir, choice.Source))
	} else {
		if err := s.checkServer(); err != nil {
			return err
		}
		database = s.database
		s.verbose(fmt.Sprintf("using the server %s (from %s)", redacted(s.DSN), Setting(s.cmd, "ydb")))
	}
	if s.Path == "" {
		s.Path = database + "/tenure"
	}
	if s.Path[0] != '/' {
		return fmt.Errorf("%s=%q is not absolute: write %s/%s", Setting(s.cmd, "path"), s.Path, database, s.Path)
	}
	if s.Timeout < minTimeout || s.Timeout > maxTimeout {
		return fmt.Errorf("%s=%v is out of range: must be between 1s and 30m", Setting(s.cmd, "timeout"), s.Timeout)
	}

	return nil
}

// checkServer checks the settings of a server that is not the embedded one.
func (s *Session) checkServer() (err error) {
	if OnLine(s.cmd, "dir") {
		return fmt.Errorf("--dir is only for the embedded server, but %s=%q: leave --dir out, or write --ydb embedded",
			Setting(s.cmd, "ydb"), redacted(s.DSN))
	}
	for _, name := range credentials {
		if value, ok := s.env.LookupEnv(name); ok && value == "" {
			return fmt.Errorf("%s is empty: set it to its value, or unset the variable", name)
		}
	}
	s.host, s.database, err = parseDSN(Setting(s.cmd, "ydb"), s.DSN)

	return err
}

// credentials are the variables that the SDK reads, except YDB_STATIC_CREDENTIALS_PASSWORD, which may be empty.
var credentials = []string{
	"YDB_ACCESS_TOKEN_CREDENTIALS",
	"YDB_ANONYMOUS_CREDENTIALS",
	"YDB_METADATA_CREDENTIALS",
	"YDB_OAUTH2_KEY_FILE",
	"YDB_SERVICE_ACCOUNT_KEY_CREDENTIALS",
	"YDB_SERVICE_ACCOUNT_KEY_FILE_CREDENTIALS",
	"YDB_SSL_ROOT_CERTIFICATES_FILE",
	"YDB_STATIC_CREDENTIALS_ENDPOINT",
	"YDB_STATIC_CREDENTIALS_USER",
}

// Place names the server, for messages.
func (s *Session) Place() string {
	if s.embedded() {
		return "the embedded server in " + s.Dir
	}

	return redacted(s.DSN)
}

func (s *Session) verbose(line string) {
	if s.env.Verbose {
		Complain(s.env, s.cmd.Root().Name(), errors.New(line))
	}
}

// parseDSN returns the server's host:port and the database. Setting is where the DSN comes from.
func parseDSN(setting, dsn string) (host, database string, err error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "grpc" && u.Scheme != "grpcs" || u.Hostname() == "" {
		return "", "", badDSN(setting, dsn, "is not the address of a server")
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 {
		return "", "", badDSN(setting, dsn, "has no usable port")
	}
	database = u.Path
	if q := u.Query().Get("database"); q != "" {
		database = q
	}
	database = strings.TrimRight(database, "/")
	if database == "" {
		return "", "", badDSN(setting, dsn, "has no database")
	}

	return u.Host, database, nil
}

func badDSN(setting, dsn, what string) error {
	return fmt.Errorf("%s=%q %s: write grpc://host:port/database, e.g. grpc://localhost:2136/local", setting,
		redacted(dsn), what)
}

// A Client is a client of the server that the flags name.
type Client struct {
	*tenure.Client

	db *ydb.Driver // nil: the client has its own
}

// NewMonitor returns the monitor of the command, which prints on standard error.
func (s *Session) NewMonitor() *Monitor {
	print := func(line string) { Complain(s.env, s.cmd.Root().Name(), errors.New(line)) }

	return newMonitor(clock.Go(), print)
}

// Open connects to the server, after Check, or hosts the embedded one in this process if no process does. Credentials
// come from the variables YDB_*.
func (s *Session) Open(ctx context.Context, m *Monitor) (*Client, error) {
	if s.embedded() {
		client, err := tenure.Open(ctx, tenure.Embedded, tenure.WithDir(s.Dir), tenure.WithNotice(m.Notice),
			tenure.WithConnectTimeout(-1)) // the notices say what it waits for
		if err != nil {
			return nil, err
		}

		return &Client{Client: client}, nil
	}

	m.Connecting(fmt.Sprintf("no answer from %s yet: giving up after %v", s.host, openLimit))
	defer m.Close()
	limited, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	if err := s.reachable(limited); err != nil { // finds immediately what the SDK would try until the limit
		return nil, err
	}
	db, err := ydb.Open(limited, s.DSN, environ.WithEnvironCredentials(), tenure.WithQuickReconnect())
	switch {
	case err == nil:
		return &Client{Client: tenure.New(db), db: db}, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case limited.Err() != nil:
		return nil, fmt.Errorf("no answer from %s within %v: check %s, its port, and whether it is grpc:// or grpcs://",
			s.host, openLimit, Setting(s.cmd, "ydb"))
	}

	return nil, ydberr.Wrap("connect to "+s.host, err)
}

// reachable returns why the server cannot be used; nil if nothing is wrong that a connection shows.
func (s *Session) reachable(ctx context.Context) error {
	if err := s.reach(ctx); err != nil {
		return fmt.Errorf(`no server at %s (%w): start one with "tenure serve", or check %s`, s.host, err,
			Setting(s.cmd, "ydb"))
	}

	return nil
}

// reach returns why no connection to the server can be made. It cannot tell if there is a proxy.
func (s *Session) reach(ctx context.Context) error {
	target := &http.Request{URL: &url.URL{Scheme: "https", Host: s.host}}
	if proxy, err := http.ProxyFromEnvironment(target); err != nil || proxy != nil {
		return nil //nolint:nilerr // the SDK finds out
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.host)
	if err != nil {
		return dialReason(err)
	}

	return conn.Close()
}

// dialReason returns the cause of err without the addresses, because the caller names them.
func dialReason(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return errors.New("no such host")
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		return errors.New("no answer")
	}

	return err
}

// closeLimit is the time limit for closing a client.
const closeLimit = 2 * time.Second

// Close closes the client, even if ctx has ended. The driver may ignore the time limit; the process, which ends next,
// does not wait for it.
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

// ServerHelp is the part of a command's help about servers.
const ServerHelp = `Server:
  By default there is nothing to install. The first process on this machine that needs the server runs it inside
  itself, and another process takes over when that one ends. For several machines, run "tenure serve" or YDB and
  pass its address with --ydb. The YDB_* variables of ydb-go-sdk-auth-environ set the credentials.`

// DirHelp is the part of a command's help about the state directory.
const DirHelp = `State directory:
  Processes on one machine share the embedded server only if they use the same state directory. The first of these
  that is set decides:
    --dir
    TENURE_DIR
    $XDG_STATE_HOME/tenure
    $HOME/.local/state/tenure
    $STATE_DIRECTORY/tenure, in a service of systemd
    .local/state/tenure in the home directory of the account
  Different users, or a cron job and a login shell, may get different directories: set TENURE_DIR for all of them.
  --print-config, --verbose and "tenure status" show the directory and what chose it.`
