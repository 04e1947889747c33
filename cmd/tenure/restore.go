package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/backup"
	"tenure/internal/catalog"
	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/printable"
	"tenure/internal/store/etcdstore"
	"tenure/internal/store/logstore"
	"tenure/internal/trust"
	"tenure/server"
)

// defaultWait is the longest timeout that a session can have.
const defaultWait = 30 * time.Minute

// groupRestore is the title of the first flags in the help.
const groupRestore = "Restoring"

func restoreCommand(env *cli.Env) *cobra.Command {
	r := &restoreFlags{env: env, wait: defaultWait, database: server.DefaultDatabase}
	cmd := &cobra.Command{
		Use:   "restore [flags] FILE",
		Short: "make a data directory from a backup, or write it to etcd",
		Example: "tenure restore tenure.backup --to /var/lib/tenure --wait 10s\n" +
			"tenure restore tenure.backup --etcd https://a:2379,https://b:2379 --etcd-ca etcd-ca.pem --wait 10s\n" +
			"tenure restore tenure.backup --check",
		Long: `tenure restore makes a data directory from a file that "tenure backup" has written. The directory must be
empty or missing. After a failure or a crash it is empty. Start the server on it with "tenure serve --data DIR".

With --etcd in place of --to, it writes the backup to etcd. There must be no keys with the prefix. No server can use
them before the restore is complete, and the next restore removes what a failed one has left. Then start the servers
with "tenure serve --etcd URLS". A backup of one server can be restored to etcd, and that of a cluster to a directory.

Nodes and semaphores are restored with their data. Sessions are not: nobody holds anything. Fencing tokens and the ids
of sessions continue far above those in the backup, so that no token is used twice. The server that is lost must be dead
and must not come back.

A client that is cut off holds its locks until its session timeout has passed. After the restored server starts, it
therefore grants nothing for the time of --wait; everybody waits in the queues. The default is the longest timeout that
a session can have. Pass the longest --timeout that your clients use, or 0s if the old server has been dead for longer
than that.

With --keep-sessions, sessions are restored with everything that they hold and wait for, and the server grants
immediately. Use it only to move a server: stop the server, write the backup with "tenure backup --data", restore it,
and never start the old server again. Stop all servers of a cluster before its backup.

Exit code:
  0 restored, or the backup is complete and intact; 125 failed`,
	}
	cmd.Args = cli.Arguments(fileArgument...)
	cli.AddFlags(cmd,
		cli.Flag{
			Name: "to", Group: groupRestore, Arg: "DIR", Example: "/var/lib/tenure", Value: &r.to,
			Usage: "data directory to make",
		},
		cli.Flag{
			Name: "wait", Group: groupRestore, Arg: "D", Example: "10s", Value: &r.wait,
			Env:   "TENURE_RESTORE_WAIT", // not that of lock
			Usage: "time for which the server then grants nothing: the longest session timeout of all clients",
			Check: r.checkWait,
		},
		cli.Flag{
			Name: "keep-sessions", Group: groupRestore, Value: &r.keep,
			Usage: "restore sessions too: for a move of a server that is stopped",
		},
		cli.Flag{
			Name: "check", Group: groupRestore, Value: &r.check,
			Usage: "only check that the backup is complete and intact",
		},
	)
	r.etcd.add(cmd, groupEtcd, "members of the etcd cluster to write to")
	cli.AddFlags(cmd, cli.Flag{
		Name: "database", Group: groupEtcd, Arg: "PATH", Example: "/local", Value: &r.database,
		Usage: "database of the servers that will use the data in etcd",
		Check: func() error { return catalog.CheckDatabase(r.database) },
	})
	cli.Groups(cmd, groupRestore, groupEtcd, cli.GroupLooking)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return r.run(cmd, args[0]) }

	return cmd
}

type restoreFlags struct {
	env         *cli.Env
	to          string
	etcd        remoteEtcd
	database    string
	wait        time.Duration
	keep, check bool
}

func (r *restoreFlags) checkWait() error {
	if r.wait < 0 || r.wait > catalog.MaxWait {
		return fmt.Errorf("is out of range: must be between 0s and %v", catalog.MaxWait)
	}

	return nil
}

func (r *restoreFlags) run(cmd *cobra.Command, file string) error {
	if err := r.choose(cmd); err != nil {
		return err
	}
	switch {
	case r.keep && cli.OnLine(cmd, "wait"):
		return errors.New("--wait would end the leases that --keep-sessions restores: leave one of them out")
	}
	f, err := os.Open(file)
	if err != nil {
		return notReadable(file, err)
	}
	defer f.Close()
	summary, err := backup.Check(f) // before anything is written
	if err != nil {
		return notReadable(file, err)
	}
	if !r.check {
		if err := r.restore(cmd, f, file); err != nil {
			return err
		}
	}

	return r.tell(file, summary)
}

// choose leaves only one of --to and --etcd set, and none with --check.
func (r *restoreFlags) choose(cmd *cobra.Command) error {
	for _, flag := range []string{"to", "etcd"} {
		if r.check && cli.OnLine(cmd, flag) {
			return fmt.Errorf("--check writes nothing, but --%s is given: leave one of them out", flag)
		}
	}
	switch {
	case cli.OnLine(cmd, "to") && cli.OnLine(cmd, "etcd"):
		return errors.New("--to and --etcd name different places: leave one of them out")
	case r.check:
		r.to, r.etcd.urls = "", ""
	case cli.OnLine(cmd, "to"):
		r.etcd.urls = ""
	case cli.OnLine(cmd, "etcd"):
		r.to = ""
	case r.to == "" && r.etcd.urls == "":
		return errors.New("--to is missing: name the data directory to make, e.g. --to /var/lib/tenure, or an etcd " +
			"cluster with --etcd")
	}

	return r.etcd.checkAlone(cmd)
}

// notReadable returns the error for a file that cannot be restored. An error of package backup says what to do.
func notReadable(file string, err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("FILE=%q: %w: pass a file that \"tenure backup\" has written", file, path.Err)
	}

	return fmt.Errorf("FILE=%q: %w", file, err)
}

func (r *restoreFlags) restore(cmd *cobra.Command, f io.ReadSeeker, file string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("FILE=%q can be read only once: %w: copy it to a regular file first", file, withoutPath(err))
	}
	if r.to == "" {
		return r.toCluster(cmd, f, file)
	}
	if _, err := trust.Keep(r.to, logstore.LockName); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	c, err := logstore.Create(r.to, logstore.Options{})
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	if _, err := backup.Restore(f, r.options(), c.Add); err != nil {
		c.Abort()

		return fmt.Errorf("FILE=%q: %w", file, err)
	}

	return c.Finish()
}

// toCluster writes the backup to etcd.
func (r *restoreFlags) toCluster(cmd *cobra.Command, f io.Reader, file string) error {
	cluster, err := r.etcd.cluster(cmd)
	if err != nil {
		return err
	}
	c, err := etcdstore.Create(cmd.Context(), *cluster, r.etcd.prefix)
	if err != nil {
		return err
	}
	if _, err := backup.Restore(f, r.options(), c.Add); err != nil {
		c.Abort()

		return fmt.Errorf("FILE=%q: %w", file, err)
	}
	database, err := catalog.Clean(r.database)
	if err != nil {
		c.Abort()

		return err
	}

	return c.Finish(database)
}

func (r *restoreFlags) options() backup.Options {
	if r.keep {
		return backup.Options{KeepSessions: true}
	}

	return backup.Options{Wait: r.wait}
}

// place returns where the backup was restored.
func (r *restoreFlags) place() string {
	if r.to != "" {
		return r.to
	}

	return fmt.Sprintf("etcd at %s with the prefix %s, for servers of the database %s", r.etcd.urls, r.etcd.prefix,
		r.database)
}

// tell says what was restored, and what happens next.
func (r *restoreFlags) tell(file string, s backup.Summary) error {
	verb := "restored " + printable.Text(file) + " to " + printable.Text(r.place())
	if r.check {
		verb = printable.Text(file) + " is complete and intact"
	}
	clk := clock.Go()
	_, err := fmt.Fprintf(r.env.Data, "%s: the backup has %s, taken %s, %s ago\n", verb, contents(s),
		s.Date.Format(time.RFC3339), cli.Elapsed(clk.Time(clk.Now()).Sub(s.Date)))
	if err == nil && !r.check && !r.keep && s.Sessions > 0 {
		_, err = fmt.Fprintf(r.env.Data, "not restored: %s with what was held; clients start new ones; to keep them, "+
			"restore with --keep-sessions\n", printable.Count(s.Sessions, "session", "sessions"))
	}
	if err != nil || r.check {
		return err
	}
	switch {
	case r.keep:
		_, err = fmt.Fprintln(r.env.Data, "sessions are kept: never start the old server again")
	case r.wait > 0:
		_, err = fmt.Fprintf(r.env.Data, "the server grants nothing for %v after it starts, because clients of the old "+
			"server may still hold locks: --wait sets that time; the longest session timeout in the backup is %v\n",
			r.wait, s.LongestTimeout)
	default:
		_, err = fmt.Fprintln(r.env.Data, "the server grants immediately: make sure that no client of the old server still "+
			"holds a lock")
	}

	return err
}
