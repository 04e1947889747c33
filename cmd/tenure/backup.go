package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/admin"
	"tenure/internal/backup"
	"tenure/internal/cli"
	"tenure/internal/embedded"
	"tenure/internal/printable"
	"tenure/internal/store/etcdstore"
	"tenure/internal/store/logstore"
)

func backupCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup [flags] FILE",
		Short: "write a backup of a server",
		Example: "tenure backup --admin http://localhost:8136 tenure.backup\n" +
			"tenure backup --data /var/lib/tenure tenure.backup\n" +
			"tenure backup --etcd https://a:2379,https://b:2379 --etcd-ca etcd-ca.pem tenure.backup",
		Long: `tenure backup writes everything that a server knows at one instant to FILE: nodes, semaphores with their data,
sessions, and who holds and waits for what. The server continues to serve. FILE may be "-" for standard output.

The backup is that of the server of --admin, or of a server that is stopped and has its data in --data, or of all
servers that have their data in --etcd, or otherwise of the embedded server. Any server of a cluster gives the same
backup: that of the whole cluster at one revision of etcd. With --etcd, no server needs to run, and a user of etcd who
may only read is enough.

The file contains the data of all semaphores and the protection keys of sessions, so only its owner can read it. It
appears under its name when it is complete. A backup that breaks off, for example because etcd was compacted meanwhile,
is begun again up to twice, unless FILE is "-". "tenure restore" turns it into a data directory, or writes it to etcd.

Exit code:
  0 the backup is complete; 125 failed`,
	}
	b := &backupFlags{looker: newLooker(env, cmd, fileArgument, "path", "output")}
	cli.AddFlags(cmd,
		cli.Flag{
			Name: "data", Group: cli.GroupWhere, Arg: "DIR", Example: "/var/lib/tenure", Value: &b.data,
			Usage: "data directory of a server that is stopped",
		},
		cli.Flag{Name: "force", Usage: "replace FILE if it exists", Value: &b.force},
	)
	b.etcd.add(cmd, groupEtcd, "members of the etcd cluster of the servers")
	cli.Groups(cmd, cli.GroupWhere, groupEtcd, cli.GroupLooking)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return b.run(cmd.Context(), args[0]) }

	return cmd
}

type backupFlags struct {
	*looker

	data  string
	etcd  remoteEtcd
	force bool
}

func (b *backupFlags) run(ctx context.Context, file string) error {
	if err := b.choose(); err != nil {
		return err
	}
	if b.data == "" && b.admin == "" && b.etcd.urls == "" {
		if err := b.Check(); err != nil {
			return err
		}
	}
	began := b.clock.Now()
	var summary backup.Summary
	var err error
	if file == "-" {
		summary, err = b.copyTo(ctx, b.env.Data)
	} else {
		summary, err = b.write(ctx, file)
	}
	if err != nil {
		return err
	}
	b.complain(fmt.Sprintf("wrote %s, a backup of %s: %s in %v", printable.Text(file), b.source(), contents(summary),
		b.clock.Now().Sub(began).Round(time.Millisecond)))

	return nil
}

// source names the server that the backup is of. Without a flag it is the embedded one, which may not be the one that
// the user means.
func (b *backupFlags) source() string {
	switch {
	case b.admin != "":
		return b.admin
	case b.etcd.urls != "":
		return "the servers over etcd"
	case b.data != "":
		return printable.Text(b.data)
	}

	return b.Place()
}

// contents says what a backup contains.
func contents(s backup.Summary) string {
	return strings.Join([]string{
		printable.Count(s.Nodes, "node", "nodes"), printable.Count(s.Semaphores, "semaphore", "semaphores"),
		printable.Count(s.Sessions, "session", "sessions"), printable.Count(s.Records, "record", "records"),
		printable.Count(s.Bytes, "byte", "bytes"),
	}, ", ")
}

// choose leaves only one of --admin, --data and --etcd set: the one on the command line if there is one.
func (b *backupFlags) choose() error {
	places := []*string{&b.admin, &b.etcd.urls, &b.data}
	chosen := ""
	for i, flag := range []string{"admin", "etcd", "data"} {
		if !cli.OnLine(b.cmd, flag) {
			continue
		}
		if chosen != "" {
			return fmt.Errorf("--%s and --%s name different servers: leave one of them out", chosen, flag)
		}
		chosen = flag
		for j, other := range places {
			if i != j && !cli.OnLine(b.cmd, []string{"admin", "etcd", "data"}[j]) {
				*other = ""
			}
		}
	}

	return b.etcd.checkAlone(b.cmd)
}

// write writes the file, which is complete when it has its name.
func (b *backupFlags) write(ctx context.Context, file string) (summary backup.Summary, err error) {
	if err := b.checkFile(file); err != nil {
		return summary, err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".tenure-backup-*.new") // with mode 0600
	if err != nil {
		return summary, fmt.Errorf("FILE=%q: cannot create it: %w: name a file in another directory", file, withoutPath(err))
	}
	defer func() {
		_ = temp.Close()
		if err != nil {
			_ = os.Remove(temp.Name())
		}
	}()
	summary, err = b.copyToFile(ctx, temp)
	if err != nil {
		return summary, err
	}
	err = errors.Join(temp.Sync(), temp.Close())
	if err == nil {
		err = b.checkFile(file)
	}
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err == nil {
		err = syncDirectory(filepath.Dir(file))
	}
	if err != nil {
		return summary, fmt.Errorf("FILE=%q: %w", file, err)
	}

	return summary, nil
}

// withoutPath leaves out what an error of the system says about the path, which the caller names.
func withoutPath(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}

	return err
}

// checkFile checks that the file may be written.
func (b *backupFlags) checkFile(file string) error {
	info, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("FILE=%q: %w: name another file", file, withoutPath(err))
	case !info.Mode().IsRegular():
		return fmt.Errorf("FILE=%q is not a regular file: name another file, or - for standard output", file)
	case !b.force:
		return fmt.Errorf("FILE=%q exists: name another file, or pass --force to replace it", file)
	}

	return nil
}

// maxBackups is how often a backup is begun.
const maxBackups = 3

// copyToFile copies the backup to an empty file. A backup is of one instant. If it breaks off, because etcd no longer
// has that instant or the server cannot go on, copyToFile begins again with a later one.
func (b *backupFlags) copyToFile(ctx context.Context, f *os.File) (summary backup.Summary, err error) {
	for n := 1; ; n++ {
		summary, err = b.copyTo(ctx, f)
		brokenOff := errors.Is(err, etcdstore.ErrCompacted) || errors.Is(err, admin.ErrBrokenOff)
		if !brokenOff || n == maxBackups || ctx.Err() != nil {
			return summary, err
		}
		b.complain(fmt.Sprintf("%v: beginning again", err))
		if _, err = f.Seek(0, io.SeekStart); err == nil {
			err = f.Truncate(0)
		}
		if err != nil {
			return summary, withoutPath(err)
		}
	}
}

// copyTo copies the backup, and checks that it is complete.
func (b *backupFlags) copyTo(ctx context.Context, w io.Writer) (backup.Summary, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from, to := io.Pipe()
	sent := make(chan error, 1)
	go func() { // ends when from is closed
		err := b.send(ctx, to)
		_ = to.CloseWithError(err)
		sent <- err
	}()
	summary, err := backup.Check(io.TeeReader(from, w))
	_ = from.CloseWithError(io.ErrClosedPipe)
	cancel()
	if failed := <-sent; failed != nil && !errors.Is(failed, io.ErrClosedPipe) {
		return summary, failed
	}
	if err != nil {
		return summary, fmt.Errorf("check the backup: %w", err)
	}

	return summary, nil
}

// send writes the backup.
func (b *backupFlags) send(ctx context.Context, w io.Writer) error {
	switch {
	case b.admin != "":
		client, err := b.adminClient()
		if err != nil {
			return err
		}

		return client.Backup(ctx, w)
	case b.etcd.urls != "":
		return b.sendCluster(ctx, w)
	case b.data != "":
		return b.sendStopped(ctx, w)
	case !b.Embedded():
		_, err := b.adminClient()

		return err
	}
	read := make(reading)
	stops := cli.HandleStops(read, func(error) {})
	defer stops.Close()
	defer close(read)

	return embedded.Backup(ctx, b.embeddedConfig(), w)
}

// sendStopped writes the backup of a server that is stopped.
func (b *backupFlags) sendStopped(ctx context.Context, w io.Writer) (err error) {
	setting := cli.Setting(b.cmd, "data")
	if _, err := os.Stat(filepath.Join(b.data, logstore.LockName)); err != nil {
		return fmt.Errorf("%s=%q is not the data directory of a server: %s: %w: pass that of \"tenure serve --data\"",
			setting, b.data, logstore.LockName, withoutPath(err))
	}
	s, err := logstore.Open(b.data, logstore.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	return backup.Write(w, b.now(), s.Snapshot(ctx))
}

// sendCluster writes the backup of servers that have their data in etcd.
func (b *backupFlags) sendCluster(ctx context.Context, w io.Writer) (err error) {
	cluster, err := b.etcd.cluster(b.cmd)
	if err != nil {
		return err
	}
	r, err := etcdstore.OpenReader(ctx, *cluster, b.etcd.prefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()

	return backup.Write(w, b.now(), r.Snapshot(ctx))
}

// syncDirectory makes the names in a directory durable.
func syncDirectory(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}

	return errors.Join(f.Sync(), f.Close())
}
