package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"tenure/internal/audit"
	"tenure/internal/certs"
	"tenure/internal/cli"
	"tenure/internal/embedded"
	"tenure/internal/serverconfig"
	"tenure/internal/store/etcdstore"
	"tenure/server"
)

// A plan is the checked configuration of tenure serve.
type plan struct {
	log       *slog.Logger
	opts      []server.Option
	certs     *certs.Server // nil: no TLS
	advertise string        // empty: the address of the listener
	audit     *audit.Log    // nil: none
	where     string        // where the data is, for the line that is printed when the server is ready
	hungUp    chan struct{} // receives a value when the terminal of the server is gone
	manager   *manager      // nil: nothing supervises the server
	memory    memory
	cluster   *etcdstore.Cluster // nil: the server is alone
}

// prepare checks the configuration without opening the store or a listener, and returns all that is wrong with it.
func prepare(env *cli.Env, cmd *cobra.Command, f *serveFlags) (*plan, []error) {
	log, err := newLogger(env.Stderr, cmd, f)
	if err != nil {
		return nil, []error{err}
	}
	p := &plan{log: log, advertise: strings.TrimSuffix(f.advertise, "/"), hungUp: make(chan struct{}, 1)}
	p.memory = chooseMemory(f.limits.Memory, containerMemory())
	f.limits.Memory = p.memory.nodes
	p.opts = []server.Option{
		server.WithDatabase(f.database), server.WithLogger(log), server.WithLimits(f.limits),
		func(c *serverconfig.Config) { c.Loading = newCollector().load },
	}
	errs := f.takePassed(cmd)
	errs = append(errs, f.checkAccess(cmd)...)
	errs = append(errs, f.checkEtcd(cmd)...)
	add := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	add(f.checkSocket(cmd))
	add(f.checkHTTP(cmd))
	add(f.checkAudit(cmd))
	tokens, err := f.tokenOptions(cmd)
	add(err)
	p.certs, err = f.openCerts(cmd, log)
	add(err)
	add(server.Check(p.opts...))
	add(p.chooseData(env, cmd, f))
	p.opts = append(p.opts, tokens...)
	if p.certs != nil {
		p.opts = append(p.opts, server.WithTLS(p.certs.TLS()), func(c *serverconfig.Config) { c.Trusts = p.certs.Trusts })
	}
	if p.advertise != "" {
		p.opts = append(p.opts, server.WithAdvertise(p.advertise))
	}

	return p, errs
}

// complain prints each error as a line of its own.
func complain(env *cli.Env, errs []error) error {
	for line := range strings.Lines(errors.Join(errs...).Error()) {
		cli.Complain(env, "tenure", errors.New(line))
	}

	return &cli.ExitError{Code: cli.ExitFailure}
}

// chooseData decides where the server keeps its data, and checks that it can.
func (p *plan) chooseData(env *cli.Env, cmd *cobra.Command, f *serveFlags) (err error) {
	if f.etcd.urls != "" {
		p.where = fmt.Sprintf("in etcd at %s with the prefix %s", f.etcd.urls, f.etcd.prefix)
		p.cluster, err = f.etcd.cluster(cmd)

		return err
	}
	if f.memory {
		p.where = "in memory only"
		if cli.OnLine(cmd, "data") {
			return fmt.Errorf("--memory keeps nothing on disk, but --data=%q is given: leave one of them out", f.data)
		}

		return nil
	}
	choice := embedded.Choice{Dir: f.data, Source: cli.Setting(cmd, "data")}
	if f.data == "" {
		if choice, err = defaultData(env); err != nil {
			return err
		}
	}
	if env.Verbose {
		cli.Complain(env, "tenure", fmt.Errorf("using the data directory %s (from %s)", choice.Dir, choice.Source))
	}
	p.opts = append(p.opts, server.WithDataDir(choice.Dir))
	p.where = "in " + choice.Dir
	if err := checkData(choice.Dir); err != nil {
		return fmt.Errorf("%s=%q: %w", choice.Source, choice.Dir, err)
	}

	return nil
}

// checkData checks that the server can use the data directory, or create it.
func checkData(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir:
		return checkData(filepath.Dir(dir))
	case errors.Is(err, syscall.ENOTDIR) || err == nil && !info.IsDir():
		return errors.New("part of the path is a file: choose another directory")
	case errors.Is(err, fs.ErrPermission) || err == nil && !usable(dir):
		return fmt.Errorf("no permission to write in %s: choose another directory, or change its owner or mode", dir)
	case err != nil:
		return fmt.Errorf("%w: choose another directory", err)
	}

	return nil
}

// address returns the address for --ydb without the database.
func (p *plan) address(ctx context.Context, listener net.Addr) string {
	switch {
	case p.advertise != "":
		return p.advertise
	case p.certs == nil:
		return "grpc://" + reachable(ctx, listener, p.log)
	}
	address := reachable(ctx, listener, p.log)
	if host, _, err := net.SplitHostPort(address); err == nil {
		if err := p.certs.Names(host); err != nil {
			p.log.WarnContext(ctx, "the certificate is not for the host of the printed address: clients need another "+
				"name of this machine, which --advertise can set", "host", host, "cause", err)
		}
	}

	return "grpcs://" + address
}
