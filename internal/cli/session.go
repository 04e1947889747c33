package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tenure"
	"tenure/internal/ancestry"
	"tenure/internal/clientauth"
	"tenure/internal/clientconfig"
	"tenure/internal/clock"
	"tenure/internal/dsn"
	"tenure/internal/embedded"
	"tenure/internal/roots"
)

// Limits of --timeout. A busy server, or a network that stutters, stays below the lower one.
const (
	minTimeout = time.Second
	maxTimeout = 30 * time.Minute
)

// A Session holds the settings of commands that use a server: which one, and how to open a session on it.
type Session struct {
	DSN      string // or tenure.Embedded
	Dir      string // state directory of the embedded server; empty until Check has chosen one
	Path     string // coordination node; empty until Check has completed it
	Timeout  time.Duration
	NoCreate bool

	ConnectTimeout time.Duration // for the first connection

	Omit []string // names of flags that the command does not have; their values are the defaults

	ByAdmin func() bool // whether the admin address alone names the server; nil: it never does

	Auth clientauth.Settings // how to recognise the server, and how to identify this process to it

	env      *Env
	cmd      *cobra.Command
	address  *dsn.Address // of the server; nil: it is the embedded one
	database string       // of the server
}

// AddFlags adds the flags that set s to cmd.
func (s *Session) AddFlags(cmd *cobra.Command, env *Env) {
	s.env, s.cmd = env, cmd
	s.DSN, s.Timeout, s.ConnectTimeout = tenure.Embedded, tenure.DefaultSessionTimeout, clientconfig.DefaultConnectTimeout
	AddFlags(cmd, s.offered(
		DSNFlag(&s.DSN),
		DirFlag(&s.Dir, env, s.Embedded),
		Flag{
			Name: "path", Group: GroupWhere, Arg: "PATH", Example: "/local/tenure", Value: &s.Path, Default: s.defaultPath,
			Usage: "coordination node, created if missing (default <database>/tenure)",
		},
		s.NoCreateFlag(),
		Flag{
			Name: "timeout", Group: GroupHolding, Arg: "D", Example: "10s", Value: &s.Timeout,
			Usage: "session timeout: how long locks of a crashed process stay locked",
		},
		Flag{
			Name: "connect-timeout", Group: GroupWhere, Arg: "D", Example: "10s", Value: &s.ConnectTimeout,
			Usage: "time limit for the first connection",
		},
	)...)
	AddFlags(cmd, s.offered(AuthFlags(&s.Auth)...)...)
}

// NoCreateFlag is the row of --no-create.
func (s *Session) NoCreateFlag() Flag {
	return Flag{Name: "no-create", Group: GroupWhere, Value: &s.NoCreate, Usage: "fail if the node does not exist"}
}

// offered returns the rows of the flags that the command has.
func (s *Session) offered(rows ...Flag) []Flag {
	return slices.DeleteFunc(rows, func(row Flag) bool { return slices.Contains(s.Omit, row.Name) })
}

// Groups of flags that several commands have, as [Groups] takes them.
const (
	GroupWhere   = "Where"   // which server to use
	GroupHolding = "Holding" // for how long a lease is held
	GroupLooking = "Looking" // what the command prints
)

// DSNFlag is the row of --ydb.
func DSNFlag(address *string) Flag {
	return Flag{
		Name: "ydb", Group: GroupWhere, Arg: "DSN", Example: "grpc://localhost:2136/local", Env: "TENURE_DSN",
		Value: address,
		Usage: "grpc[s]://host:port/database, unix:///socket, or embedded",
	}
}

// DirFlag is the row of --dir. Used reports whether the command uses the embedded server.
func DirFlag(dir *string, env *Env, used func() bool) Flag {
	return Flag{
		Name: "dir", Group: GroupWhere, Arg: "DIR", Example: "/path/to/directory", Value: dir,
		Usage: "state directory of the embedded server (--print-config shows it)",
		Default: func() (value, source string, err error) {
			if !used() {
				return "", "not used", nil
			}
			choice, err := embedded.DefaultDir(env.LookupEnv, DirSetting)

			return choice.Dir, choice.Source, err
		},
	}
}

// The names of the settings in messages of the embedded server.
const (
	DirSetting     = "--dir"
	AddressSetting = "--ydb or TENURE_DSN"
)

// ChooseDir returns the state directory that --dir, its variable or the environment chooses, as an absolute path, and
// the name of what chose it. Only --dir may be relative, because its user sees the working directory.
func ChooseDir(env *Env, cmd *cobra.Command, dir string) (embedded.Choice, error) {
	choice := embedded.Choice{Dir: dir, Source: Setting(cmd, "dir")}
	if dir == "" {
		var err error
		if choice, err = embedded.DefaultDir(env.LookupEnv, DirSetting); err != nil {
			return choice, err
		}
	}
	if filepath.IsAbs(choice.Dir) {
		return choice, nil
	}
	if !OnLine(cmd, "dir") {
		return choice, embedded.CheckAbs(choice.Source, choice.Dir)
	}
	abs, err := filepath.Abs(choice.Dir)
	if err != nil {
		return choice, fmt.Errorf("%s=%q: %w", choice.Source, dir, err)
	}
	choice = embedded.Choice{Dir: abs, Source: fmt.Sprintf("--dir=%q, in the working directory", dir)}

	return choice, nil
}

// Database returns the database of the server, after Check.
func (s *Session) Database() string { return s.database }

// Address returns the address of the server, after Check; nil if the server is the embedded one.
func (s *Session) Address() *dsn.Address { return s.address }

// Embedded reports whether the server is the embedded one.
func (s *Session) Embedded() bool { return s.DSN == tenure.Embedded && !s.byAdmin() }

// byAdmin reports whether the admin address alone names the server, which then has no address for the protocol.
func (s *Session) byAdmin() bool { return s.ByAdmin != nil && s.ByAdmin() }

func (s *Session) defaultPath() (value, source string, err error) {
	if s.Embedded() || s.byAdmin() {
		return tenure.EmbeddedDatabase + "/tenure", "default", nil
	}
	address, err := dsn.Parse(Setting(s.cmd, "ydb"), s.DSN)
	if err != nil {
		return "", "", err
	}

	return address.Database + "/tenure", "default", nil
}

// Check checks the values of the flags, and completes those that are not given.
func (s *Session) Check() error {
	database := tenure.EmbeddedDatabase // it is also the default of "tenure serve"
	switch {
	case s.byAdmin():
		if OnLine(s.cmd, "dir") {
			return fmt.Errorf("--dir is only for the embedded server, but %s names another one: leave --dir out, or write "+
				"--ydb embedded", Setting(s.cmd, "admin"))
		}
		s.verbose("using the server with the admin address in " + Setting(s.cmd, "admin"))
	case s.Embedded():
		if err := noAuth(s.cmd); err != nil {
			return err
		}
		choice, err := ChooseDir(s.env, s.cmd, s.Dir)
		if err != nil {
			return err
		}
		s.Dir = choice.Dir
		s.verbose(fmt.Sprintf("using the embedded server in %s (from %s)", choice.Dir, choice.Source))
	default:
		if err := s.checkServer(); err != nil {
			return err
		}
		database = s.database
		s.verbose(fmt.Sprintf("using the server %s (from %s)", redacted(s.DSN), Setting(s.cmd, "ydb")))
	}
	s.database = database
	if s.Path == "" {
		s.Path = database + "/tenure"
	}
	if err := s.CheckPath(Setting(s.cmd, "path"), s.Path); err != nil {
		return err
	}
	if s.Timeout < minTimeout || s.Timeout > maxTimeout {
		return fmt.Errorf("%s=%v is out of range: must be between 1s and 30m", Setting(s.cmd, "timeout"), s.Timeout)
	}
	if s.ConnectTimeout <= 0 {
		return fmt.Errorf("%s=%v is out of range: must be above 0s", Setting(s.cmd, "connect-timeout"), s.ConnectTimeout)
	}

	return nil
}

// CheckPath checks the path of a node, after Check. The setting is the name of the flag or the argument.
func (s *Session) CheckPath(setting, path string) error {
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("%s=%q is not absolute: write %s/%s", setting, path, s.database, path)
	}
	if !strings.HasPrefix(path, s.database+"/") && path != s.database {
		return fmt.Errorf("%s=%q is outside the database %q: write %s%s", setting, path, s.database, s.database, path)
	}

	return nil
}

// checkServer checks the settings of a server that is not the embedded one.
func (s *Session) checkServer() error {
	if OnLine(s.cmd, "dir") {
		return fmt.Errorf("--dir is only for the embedded server, but %s=%q: leave --dir out, or write --ydb embedded",
			Setting(s.cmd, "ydb"), redacted(s.DSN))
	}
	address, err := dsn.Parse(Setting(s.cmd, "ydb"), s.DSN)
	if err != nil {
		return err
	}
	s.address, s.database = address.WithHints(AuthHints), address.Database

	return CheckAuth(s.env, s.cmd, &s.Auth, address)
}

// ServerID returns a name for the server that is the same in all processes that use it on this machine, as far as that
// is possible: the state directory of the embedded server, or otherwise the address without user and password.
func (s *Session) ServerID() string {
	if !s.Embedded() {
		return ancestry.ServerID(s.DSN)
	}
	if dir, err := filepath.EvalSymlinks(s.Dir); err == nil {
		return dir
	}

	return s.Dir
}

// Place names the server, for messages.
func (s *Session) Place() string {
	if s.Embedded() {
		return "the embedded server in " + s.Dir
	}

	return redacted(s.DSN)
}

func (s *Session) verbose(line string) {
	if s.env.Verbose {
		Complain(s.env, ProgramName(s.cmd), errors.New(line))
	}
}

// Prepare makes Open faster. It must be called after Check, and before the process starts another one or uses TLS.
func (s *Session) Prepare() { roots.Skip(s.DSN) }

// A Client is a client of the server that the flags name.
type Client struct {
	*tenure.Client

	Driver *clientconfig.Driver // for other services of the server; nil: it is the embedded one
	Stops  *Stops               // handles SIGTSTP until Close
}

// NewMonitor returns the monitor of the command, which prints on standard error.
func (s *Session) NewMonitor() *Monitor {
	say := func(line string) { Complain(s.env, ProgramName(s.cmd), errors.New(line)) }

	return newMonitor(clock.Go(), say)
}

// Open connects to the server, after Check, or hosts the embedded one in this process if no process does. Credentials
// come from the variables YDB_*.
func (s *Session) Open(ctx context.Context, m *Monitor) (*Client, error) {
	var stops *Stops
	var driver *clientconfig.Driver
	opts := []tenure.Option{
		tenure.WithDir(s.Dir),
		tenure.WithNotice(m.Notice),
		tenure.WithConnectTimeout(-1), // the embedded server's notices say what it waits for
		func(c *clientconfig.Config) {
			c.DirSetting, c.AddressSetting = DirSetting, AddressSetting
			c.Embedded = func(h clientconfig.Host) { stops = HandleStops(h, s.notHandedOver) }
		},
	}
	if !s.Embedded() {
		m.Connecting(s.address.Host, s.ConnectTimeout)
		defer m.Close()
		opts = []tenure.Option{
			tenure.WithConnectTimeout(s.ConnectTimeout),
			func(c *clientconfig.Config) {
				c.DriverOptions = s.Auth.Options(s.address.Endpoint(), s.env.LookupEnv)
				c.Setting, c.Hints = Setting(s.cmd, "ydb"), AuthHints
				c.Driver = func(db clientconfig.Driver) { driver = &db }
			},
		}
		stops = HandleStops(nil, s.notHandedOver)
	}
	client, err := tenure.Open(ctx, s.DSN, opts...)
	switch {
	case err == nil:
		return &Client{client, driver, stops}, nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	stops.Close()

	return nil, err
}

// notHandedOver reports, after the process was suspended, that it could not step aside before.
func (s *Session) notHandedOver(err error) {
	Complain(s.env, ProgramName(s.cmd), fmt.Errorf("the embedded server was not handed over when this process was "+
		"suspended: %w", err))
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
	}()
	select {
	case <-closed:
	case <-limited.Done():
	}
	c.Stops.Close()
}

// ServerHelp is the part of a command's help about servers.
const ServerHelp = `Server:
  By default there is nothing to install. Of the processes of this user on this machine, the first that needs the
  server runs it inside itself, and another one takes over when that one ends. For several machines, run "tenure
  serve" or YDB and pass its address with --ydb. For a server with TLS, the address begins with grpcs://. --ca-file
  names an authority that the system does not trust, and --auth-token-file has an access token. Without these flags,
  the variables YDB_SSL_ROOT_CERTIFICATES_FILE, YDB_ACCESS_TOKEN_CREDENTIALS, YDB_STATIC_CREDENTIALS_USER and
  _PASSWORD, and the other YDB_* variables of ydb-go-sdk-auth-environ count.`

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
  Each user has their own directory, also with sudo, and so their own locks. To share one, a group of users that
  trust each other needs a directory of its own: install -d -m 2770 -g GROUP DIR. Set TENURE_DIR for all of them.
  --print-config, --verbose and "tenure status" show the directory and what chose it.`
