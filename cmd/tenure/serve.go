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

// stopLimit is what calls under way get when the server stops; with it a SIGTERM is served within 2 s.
const stopLimit = 1500 * time.Millisecond

// serveFlags are the flags of tenure serve, with their defaults.
type serveFlags struct {
	listen, database, data string
	memory, insecure       bool
	logLevel, logFormat    string
}

func serveCommand(env *cli.Env) *cobra.Command {
	f := serveFlags{
		listen: "127.0.0.1:2136", database: server.DefaultDatabase, data: defaultData(env),
		logLevel: "info", logFormat: "text",
	}
	cmd := &cobra.Command{
		Use:     "serve [flags]",
		Short:   "run the server",
		Example: "tenure serve\ntenure serve --listen 127.0.0.1:0 --data ./data",
		Long: `tenure serve runs a coordination server until it is interrupted. It speaks YDB's protocol: a program finds it
by the DSN in the line that it prints on standard output when it is ready.

Whatever it acknowledges is in the data directory before. It stops within 2 s of SIGTERM or SIGINT; sessions and what
they hold survive that, by their timeout.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.memory && cmd.Flags().Changed("data") {
				return fmt.Errorf("--memory keeps nothing and --data %q does: leave one of them out", f.data)
			}

			return serve(cmd.Context(), env, f)
		},
	}
	cli.AddFlags(cmd,
		cli.Flag{Name: "listen", Arg: "ADDR", Usage: "host:port to listen on; port 0: a free one", Value: &f.listen},
		cli.Flag{Name: "database", Arg: "PATH", Usage: "the database; all paths are below it", Value: &f.database},
		cli.Flag{Name: "data", Arg: "DIR", Usage: "where to keep what is acknowledged", Value: &f.data},
		cli.Flag{Name: "memory", Usage: "keep it in memory only; forgotten at the end", Value: &f.memory},
		cli.Flag{Name: "insecure", Usage: "allow an address that other machines reach", Value: &f.insecure},
		cli.Flag{Name: "log-level", Arg: "LEVEL", Usage: "debug, info, warn or error", Value: &f.logLevel},
		cli.Flag{Name: "log-format", Arg: "FORMAT", Usage: "text or json", Value: &f.logFormat},
	)

	return cmd
}

// defaultData returns the directory for data if none is given; empty if no state directory can be chosen.
func defaultData(env *cli.Env) string {
	choice, err := embedded.StateDir(env.LookupEnv)
	if err != nil {
		return ""
	}

	return filepath.Join(choice.Dir, "serve")
}

func serve(ctx context.Context, env *cli.Env, f serveFlags) error {
	log, err := newLogger(env.Stderr, f.logLevel, f.logFormat)
	if err != nil {
		return err
	}
	if err := checkListen(f); err != nil {
		return err
	}
	opts := []server.Option{server.WithDatabase(f.database), server.WithLogger(log)}
	where := "in memory only"
	if !f.memory {
		if f.data == "" {
			return errors.New("no data directory: give one with --data DIR, or --memory to keep nothing")
		}
		opts = append(opts, server.WithDataDir(f.data))
		where = "in " + f.data
	}

	lis, err := net.Listen("tcp", f.listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is in use by another program: choose another address with --listen", f.listen)
	}
	if err != nil {
		return fmt.Errorf("listen on %q: %w: see --listen", f.listen, errors.Unwrap(err))
	}
	srv, err := server.New(opts...)
	if err != nil {
		return errors.Join(err, lis.Close())
	}

	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }() // ends with Stop, below
	_, err = fmt.Fprintf(env.Stdout, "tenure: serving grpc://%s%s, data %s\n", lis.Addr(), f.database, where)
	if err != nil {
		log.WarnContext(ctx, "standard output does not take the line that says that the server is ready", "error", err)
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

// checkListen refuses addresses that others than the programs of this machine reach, unless that is wanted.
func checkListen(f serveFlags) error {
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return fmt.Errorf("--listen %q is not host:port: write e.g. 127.0.0.1:2136", f.listen)
	}
	if ip := net.ParseIP(host); f.insecure || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}

	return fmt.Errorf("--listen %s: whoever reaches that address would have all rights: add --insecure if all are trusted",
		f.listen)
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var opts slog.HandlerOptions
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q is not known: write debug, info, warn or error", level)
	}
	opts.Level = l
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, &opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &opts)), nil
	}

	return nil, fmt.Errorf("--log-format %q is not known: write text or json", format)
}
