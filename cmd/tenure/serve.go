package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/access"
	"tenure/internal/cli"
	"tenure/internal/embedded"
	"tenure/server"
)

// stopLimit is the time that calls in progress get when the server stops, so that a SIGTERM takes less than 2 s.
const stopLimit = 1200 * time.Millisecond

// groupServing is the title of the first flags in the help.
const groupServing = "Serving"

// serveFlags are the values of the flags of tenure serve.
type serveFlags struct {
	listen, database, data string
	memory, check          bool
	logLevel, logFormat    string
	limits                 server.Limits
	accessFlags
	passed passedListeners
	socketFlags
	httpFlags
	audit auditFlags
	etcd  etcdFlags
	peer  string // host:port

	compact time.Duration
}

func serveCommand(env *cli.Env) *cobra.Command {
	f := &serveFlags{
		listen: "127.0.0.1:2136", database: server.DefaultDatabase, logLevel: "info", logFormat: "text",
		limits: defaultLimits(), accessFlags: accessFlags{tokenLifetime: access.DefaultLifetime},
		audit: auditFlags{maxSize: "100M"}, compact: defaultCompact,
	}
	cmd := &cobra.Command{
		Use:     "serve [flags]",
		Short:   "run a server",
		Example: "tenure serve\ntenure serve --listen 0.0.0.0:2136 --tls-cert server.pem --tls-key server.key --tokens users",
		Long: `tenure serve runs a coordination server until it is interrupted. The server speaks the protocol of YDB's
Coordination Service. When it is ready, it prints one line on standard output with the address for --ydb and TENURE_DSN.

The server writes data to disk before it acknowledges a request. It stops within 2 s of SIGTERM or SIGINT. Sessions and
their locks survive a restart that takes less than half of their timeouts.

An address that other machines can reach needs --tls-cert and --tls-key, and an identity of the callers: --tokens, or
--tls-client-ca, or both. With --insecure it needs neither. The server reads the files of these flags again when they
change, and on SIGHUP. A file that it cannot use changes nothing and is reported.

A server that systemd starts tells it what it does (Type=notify, WatchdogSec=). Sockets of a socket unit replace those
of --listen and --socket, and a TCP socket with FileDescriptorName=http that of --http.

Data directory:
  The first of these that is set decides:
    --data
    TENURE_DATA
    $XDG_STATE_HOME/tenure/serve
    $HOME/.local/state/tenure/serve
    $STATE_DIRECTORY/tenure/serve, in a service of systemd
    .local/state/tenure/serve in the home directory of the account`,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return serve(cmd.Context(), env, cmd, f)
	}
	cli.AddFlags(cmd,
		cli.Flag{
			Name: "listen", Group: groupServing, Arg: "ADDR", Example: "127.0.0.1:2136", Value: &f.listen,
			Usage: "host:port to listen on; port 0 picks a free one",
		},
		cli.Flag{
			Name: "database", Group: groupServing, Arg: "PATH", Example: "/local", Value: &f.database,
			Usage: "name of the database; all paths begin with it",
		},
		cli.Flag{
			Name: "data", Group: groupServing, Arg: "DIR", Example: "/path/to/directory", Value: &f.data,
			Usage: "data directory (default: see above)",
			Default: func() (value, source string, err error) {
				if f.memory || f.etcd.urls != "" {
					return "", "not used", nil
				}
				choice, err := defaultData(env)

				return choice.Dir, choice.Source, err
			},
		},
		cli.Flag{
			Name: "memory", Group: groupServing, Usage: "keep data in memory only; it is lost on exit", Value: &f.memory,
		},
		cli.Flag{
			Name: "check", Group: groupServing, Usage: "check the whole configuration, print ok, and exit", Value: &f.check,
		},
		cli.Flag{
			Name: "log-level", Arg: "LEVEL", Example: "info", Usage: "debug, info, warn or error", Value: &f.logLevel,
			Values: []string{"debug", "info", "warn", "error"},
		},
		cli.Flag{
			Name: "log-format", Arg: "FORMAT", Example: "text", Usage: "text or json", Value: &f.logFormat,
			Values: []string{"text", "json"},
		},
	)
	addSocket(cmd, f)
	addAccess(cmd, f)
	addHTTP(cmd, f)
	addAudit(cmd, f)
	addEtcd(cmd, f)
	addLimits(cmd, &f.limits)
	cli.Groups(cmd, groupServing, groupAccess, groupCluster, groupWatching, groupLimits, cli.GroupLooking)

	return cmd
}

// defaultData returns the data directory for a server that is given none.
func defaultData(env *cli.Env) (embedded.Choice, error) {
	choice, err := embedded.StateDir(env.LookupEnv)
	if err != nil {
		return choice, fmt.Errorf("cannot choose a data directory: %w: pass --data, or --memory to keep nothing", err)
	}
	choice.Dir = filepath.Join(choice.Dir, "serve")

	return choice, nil
}

// serve checks the whole configuration, and then runs the server.
func serve(ctx context.Context, env *cli.Env, cmd *cobra.Command, f *serveFlags) error {
	p, errs := prepare(env, cmd, f)
	if len(errs) > 0 {
		return complain(env, errs)
	}
	if f.check {
		_, err := fmt.Fprintln(env.Data, "ok")

		return err
	}
	p.manager = newManager(env)
	defer p.manager.close()
	listeners, err := p.listen(cmd, f)
	if err != nil {
		return err
	}
	look, err := p.lookOn(cmd, f)
	if err != nil {
		return errors.Join(err, closeAll(listeners))
	}
	defer look.stop(ctx)
	if err := p.openAudit(env, cmd, f); err != nil {
		return errors.Join(err, closeAll(listeners))
	}
	defer p.audit.Close()
	address := p.address(ctx, listeners[0].Addr())
	srv, err := p.newServer(ctx, f, address)
	if err != nil {
		return errors.Join(err, closeAll(listeners))
	}

	p.memory.apply(ctx, env, p.log)
	served := make(chan error, len(listeners))
	for _, lis := range listeners {
		go func() { served <- srv.Serve(lis) }() // ends with Stop, below
	}
	look.serve(ctx, p, f, srv)
	stopReloading := p.reloadWhileRunning(ctx, srv)
	where := address + f.database
	p.announce(ctx, env, where)
	p.manager.serving(ctx, p, look.admin.Live, where)
	running := len(listeners)
	select {
	case <-ctx.Done():
	case <-p.hungUp:
	case err = <-served: // it failed
		running--
	}
	if err == nil {
		p.log.InfoContext(ctx, "stopping")
		p.manager.stopping(f.drain)
		var failed bool
		if failed, err = look.drain(p, f.drain, served); failed {
			running--
		}
	}
	stopReloading()

	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	stopErr := srv.Stop(limited)
	for ; running > 0; running-- {
		err = cmp.Or(err, <-served)
	}

	return cmp.Or(err, stopErr)
}

// newServer returns a server that others reach at the address.
func (p *plan) newServer(ctx context.Context, f *serveFlags, address string) (*server.Server, error) {
	if err := p.openEtcd(ctx, f, address); err != nil {
		return nil, err
	}

	return server.New(append(p.opts, withReflection)...)
}

// announce prints that the server is ready.
func (p *plan) announce(ctx context.Context, env *cli.Env, where string) {
	if _, err := fmt.Fprintf(env.Stdout, "tenure: serving %s, data %s\n", where, p.where); err != nil {
		p.log.WarnContext(ctx, "cannot write the address of the server to standard output", "error", err)
	}
}

func newLogger(w io.Writer, cmd *cobra.Command, f *serveFlags) (*slog.Logger, error) {
	var opts slog.HandlerOptions
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return nil, fmt.Errorf("%s=%q is not a level: write debug, info, warn or error", cli.Setting(cmd, "log-level"),
			f.logLevel)
	}
	opts.Level = level
	switch f.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, &opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &opts)), nil
	}

	return nil, fmt.Errorf("%s=%q is not a format: write text or json", cli.Setting(cmd, "log-format"), f.logFormat)
}
