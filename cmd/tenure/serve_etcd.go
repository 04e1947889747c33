package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/catalog"
	"tenure/internal/cli"
	"tenure/internal/serverconfig"
	"tenure/internal/store"
	"tenure/internal/store/etcdstore"
	"tenure/internal/version"
	"tenure/server"
)

// groupCluster is the title of the flags about several servers, in the help.
const groupCluster = "Several servers over etcd"

func addEtcd(cmd *cobra.Command, f *serveFlags) {
	addEtcdFlags(cmd, &f.etcd, groupCluster,
		"members of the etcd cluster that keeps the data of all servers; replaces --data")
	cli.AddFlags(cmd, cli.Flag{
		Name: "peer-address", Group: groupCluster, Arg: "ADDR", Example: "10.0.0.7:2136", Value: &f.peer,
		Usage: "host:port at which the other servers reach this one (default: that of --advertise, or the printed one)",
		Check: func() error { return checkPeer(f.peer) },
	}, cli.Flag{
		Name: "etcd-compact", Group: groupCluster, Arg: "D", Example: "5m", Value: &f.compact,
		Usage: "interval at which one of the servers removes the history of etcd, of all its users (0: never)",
		Check: func() error {
			if f.compact != 0 && (f.compact < etcdstore.MinCompact || f.compact > maxCompact) {
				return fmt.Errorf("is out of range: must be 0, or between %v and %v", etcdstore.MinCompact, maxCompact)
			}

			return nil
		},
	})
}

// The limits of --etcd-compact. The default is as often as Kubernetes compacts its etcd.
const (
	defaultCompact = 5 * time.Minute
	maxCompact     = 24 * time.Hour
)

// checkPeer returns what is wrong with the address.
func checkPeer(address string) error {
	host, text, err := net.SplitHostPort(address)
	port, bad := strconv.ParseUint(text, 10, 16)
	switch ip := net.ParseIP(host); {
	case err != nil, bad != nil, port == 0, host == "":
		return errors.New("is not an address: write host:port")
	case ip != nil && ip.IsUnspecified():
		return errors.New("is not an address that other servers can connect to: write that of this machine")
	}

	return nil
}

// checkEtcd returns what is wrong with the flags about etcd, without reading the files.
func (f *serveFlags) checkEtcd(cmd *cobra.Command) (errs []error) {
	for _, flag := range []string{"peer-address", "etcd-compact"} {
		if f.etcd.urls == "" && cli.OnLine(cmd, flag) {
			errs = append(errs, fmt.Errorf("--%s is for several servers over etcd: pass --etcd, or leave --%s out", flag, flag))
		}
	}
	if f.etcd.urls != "" {
		for _, flag := range []string{"data", "memory"} {
			if cli.OnLine(cmd, flag) {
				errs = append(errs, fmt.Errorf("--etcd keeps all data in etcd, but --%s is given: leave one of them out", flag))
			}
		}
	}

	return append(errs, f.etcd.check(cmd, f.insecure)...)
}

// openEtcd connects to etcd, if the server is to use it. Others reach the server at the address.
func (p *plan) openEtcd(ctx context.Context, f *serveFlags, address string) error {
	if p.cluster == nil {
		return nil
	}
	database, err := catalog.Clean(f.database)
	if err != nil {
		return err
	}
	s, err := etcdstore.Connect(ctx, *p.cluster, etcdstore.Options{
		Prefix: f.etcd.prefix, Database: database, Member: store.Member{
			Address: address, Version: version.String(), Peer: f.peer, Limits: limitsHash(f.limits),
			Since: uint64(max(0, today().UnixMilli())), //nolint:gosec // not negative
		},
		Unregistered: func() {
			p.log.WarnContext(ctx, "this server has seemed to be dead: registering again", "address", address)
		},
		Compact: f.compact, Compacted: p.compacted(ctx),
	})
	if err != nil {
		return err
	}
	p.opts = append(p.opts, func(c *serverconfig.Config) { c.Store = s })
	p.log.InfoContext(ctx, "connected to etcd", "address", f.etcd.urls, "prefix", f.etcd.prefix, "server", s.Self().ID)

	return nil
}

// limitsHash returns a short text that differs if the limits do. What the server has chosen by the memory and the open
// files of its machine does not count.
func limitsHash(l server.Limits) string {
	l.Memory, l.Connections, l.ConnectionsPerAddress = 0, 0, 0
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v", l))

	return hex.EncodeToString(sum[:4])
}

// compacted returns a function that logs when this server has removed the history of etcd. It logs a failure when the
// last attempt has succeeded.
func (p *plan) compacted(ctx context.Context) func(revision int64, err error) {
	failed := false

	return func(revision int64, err error) {
		switch {
		case err == nil:
			p.log.InfoContext(ctx, "compacted etcd", "revision", revision)
		case !failed:
			p.log.WarnContext(ctx, "cannot compact etcd", "error", err)
		}
		failed = err != nil
	}
}
