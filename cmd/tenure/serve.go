package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/embedded"
	"tenure/server"
)

// stopLimit is the time that calls in progress get when the server stops, so that a SIGTERM takes less than 2 s.
const stopLimit = 1500 * time.Millisecond

// groupServing is the title of the first flags in the help.
const groupServing = "Serving"

// serveFlags are the values of the flags of tenure serve.
type serveFlags struct {
	listen, database, data string
	memory, insecure       bool
	logLevel, logFormat    string
	limits                 server.Limits
}

func serveCommand(env *cli.Env) *cobra.Command {
	f := serveFlags{
		listen: "127.0.0.1:2136", database: server.DefaultDatabase, logLevel: "info", logFormat: "text",
		limits: server.DefaultLimits(),
	}
	cmd := &cobra.Command{
		Use:     "serve [flags]",
		Short:   "run a server",
		Example: "tenure serve\ntenure serve --listen 0.0.0.0:2136 --insecure --data /var/lib/tenure",
		Long: `tenure serve runs a coordination server until it is interrupted. The server speaks the protocol of YDB's
Coordination Service. When it is ready, it prints one line on standard output with the address for --ydb and TENURE_DSN.

The server writes data to disk before it acknowledges a request. It stops within 2 s of SIGTERM or SIGINT. Sessions and
their locks survive a restart that takes less than half of their timeouts.

This version has no authentication and no TLS: listen only on networks that you trust.

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
		if f.memory && cli.OnLine(cmd, "data") {
			return fmt.Errorf("--memory keeps nothing on disk, but --data=%q is given: leave one of them out", f.data)
		}

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
				if f.memory {
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
			Name: "insecure", Group: groupServing, Usage: "allow listening on a non-loopback address", Value: &f.insecure,
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
	addLimits(cmd, &f.limits)
	cli.Groups(cmd, groupServing, groupLimits, cli.GroupLooking)

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

func serve(ctx context.Context, env *cli.Env, cmd *cobra.Command, f serveFlags) error {
	log, err := newLogger(env.Stderr, cmd, f)
	if err != nil {
		return err
	}
	if err := checkListen(cmd, f); err != nil {
		return err
	}
	opts := []server.Option{server.WithDatabase(f.database), server.WithLogger(log), server.WithLimits(f.limits)}
	where := "in memory only"
	if !f.memory {
		choice := embedded.Choice{Dir: f.data, Source: cli.Setting(cmd, "data")}
		if f.data == "" {
			if choice, err = defaultData(env); err != nil {
				return err
			}
		}
		if env.Verbose {
			cli.Complain(env, "tenure", fmt.Errorf("using the data directory %s (from %s)", choice.Dir, choice.Source))
		}
		opts = append(opts, server.WithDataDir(choice.Dir))
		where = "in " + choice.Dir
	}

	lis, err := listen(cmd, f.listen)
	if err != nil {
		return err
	}
	srv, err := server.New(opts...)
	if err != nil {
		return errors.Join(err, lis.Close())
	}

	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }() // ends with Stop, below
	address := reachable(ctx, lis.Addr(), log)
	_, unread := fmt.Fprintf(env.Stdout, "tenure: serving grpc://%s%s, data %s\n", address, f.database, where)
	if unread != nil {
		log.WarnContext(ctx, "cannot write the address of the server to standard output", "error", unread)
	}
	select {
	case <-ctx.Done():
		log.InfoContext(ctx, "stopping")
	case err = <-served: // it failed
		served <- nil
	}

	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	stopErr := srv.Stop(limited)
	if e := <-served; err == nil {
		err = e
	}
	if err == nil {
		err = stopErr
	}

	return err
}

func listen(cmd *cobra.Command, address string) (net.Listener, error) {
	lis, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program: choose another address with --listen", address)
	case err != nil:
		return nil, fmt.Errorf("listen on %q: %w: check %s", address, errors.Unwrap(err), cli.Setting(cmd, "listen"))
	}

	return lis, nil
}

// checkListen refuses addresses that other machines can reach, unless --insecure allows them.
func checkListen(cmd *cobra.Command, f serveFlags) error {
	setting := cli.Setting(cmd, "listen")
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return fmt.Errorf("%s=%q is not host:port: write e.g. 127.0.0.1:2136", setting, f.listen)
	}
	if ip := net.ParseIP(host); f.insecure || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}

	return fmt.Errorf("%s=%q: anyone who can reach this address has full access: "+
		"pass --insecure if you trust that network", setting, f.listen)
}

func newLogger(w io.Writer, cmd *cobra.Command, f serveFlags) (*slog.Logger, error) {
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
