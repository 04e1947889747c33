package main

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/doctor"
	"tenure/internal/version"
)

func doctorCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [flags]",
		Short: "look for what keeps locks from working",
		Example: "tenure doctor\ntenure doctor --ydb grpcs://locks.example:2136/local --timeout 5s\n" +
			"tenure doctor --data /var/lib/tenure\n" +
			"tenure doctor --etcd https://a:2379,https://b:2379 --etcd-ca etcd-ca.pem --admin https://a:8136",
		Long: `tenure doctor checks what lock and workers depend on, with the same flags and variables: the address, the
certificate and the token, the rights on the node, how long requests take compared with --timeout, the rate of the
clocks, the disk of the embedded server, and the limits of this machine. Each line is ok, warn or bad, and says what to
do. It takes about six seconds.

It tries a lock of its own, and leaves nothing behind. If the coordination node does not exist, it uses one of its own,
which it removes. With --data, it also checks the data directory of a "tenure serve" on this machine.

With --etcd, it also checks the etcd of several servers: its members and their versions, whether its user may read and
write the prefix, its space and alarms, how long a write takes, and whether the registered servers have the same version
and limits. With --admin, it asks one of the servers whether it reaches the others, and whether they have the same users
and rights.

Exit code:
  0 everything is ok; 1 there are warnings; 2 something is bad; 125 failed`,
	}
	e := &examination{looker: newLooker(env, cmd, noArguments), clock: clock.System()}
	e.ByAdmin = nil // --admin adds checks
	cli.AddFlags(cmd,
		cli.Flag{
			Name: "timeout", Arg: "D", Example: "10s", Value: &e.Timeout, Group: cli.GroupWhere,
			Usage: "session timeout to compare with, as for lock",
		},
		cli.Flag{
			Name: "data", Arg: "DIR", Example: "/var/lib/tenure", Value: &e.data, Group: cli.GroupWhere,
			Usage:   "also check this data directory of \"tenure serve\"",
			Default: func() (value, source string, err error) { return "", "not given", nil },
		},
	)
	e.etcd.add(cmd, groupEtcd, "members of the etcd cluster of the servers, to check it too")
	cli.Groups(cmd, cli.GroupWhere, groupEtcd, cli.GroupLooking)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := e.etcd.checkAlone(cmd); err != nil {
			return err
		}
		e.report.Print = e.line
		e.run(cmd.Context())
		if code := e.report.Code(); code != 0 {
			return &cli.ExitError{Code: code}
		}

		return cmd.Context().Err()
	}

	return cmd
}

// An examination is a run of doctor.
type examination struct {
	*looker

	data   string // data directory of a server; empty: none
	etcd   remoteEtcd
	clock  clock.Clock
	report doctor.Report
}

// line prints a line of the report.
func (e *examination) line(l doctor.Line) {
	_ = e.print(l, func() string { // an error ends the command
		style := e.env.Style()
		paint := map[doctor.Result]func(string) string{
			doctor.OK: style.Good, doctor.Warn: style.Busy, doctor.Bad: style.Bad,
		}
		blanks := strings.Repeat(" ", len("warn  ")-len(l.Result))
		text := paint[l.Result](string(l.Result)) + blanks + l.Check + ": " + l.Found
		if l.Do != "" {
			text += ": " + l.Do
		}

		return text + "\n"
	})
}

func (e *examination) run(ctx context.Context) {
	e.report.Add(doctor.Variables(e.env.Names(), cli.Variables(e.cmd.Root()), cli.Closest)...)
	wrong := e.Check()
	e.report.Add(doctor.Files(doctor.OpenFiles(), e.servesHere()))
	if e.data != "" {
		e.report.Add(e.directory("data directory", e.data, "--data").Lines()...)
	}
	if e.etcd.urls != "" {
		e.examineEtcd(ctx)
	}
	if e.admin != "" {
		e.examinePeers(ctx)
	}
	if wrong != nil {
		e.report.Add(doctor.Failed("settings", wrong))

		return
	}
	running := "" // the version of the server
	if e.Embedded() {
		e.report.Add(e.directory("state directory", e.Dir, cli.DirSetting).Lines()...)
	} else if !e.reach(ctx) {
		return
	} else if e.admin != "" {
		running = e.adminVersion(ctx)
	}
	if e.examine(ctx) && e.Embedded() {
		running = version.String() // of this process, if no other one hosts the server
		if report, err := e.looker.report(ctx); err == nil && report.Host != nil {
			running = report.Host.Version
		}
	}
	e.report.Add(doctor.Versions(version.String(), running))
}

func (e *examination) directory(check, path, choose string) doctor.Directory {
	return doctor.Directory{
		Check: check, Path: path, Choose: choose, Timeout: e.Timeout, Sync: doctor.SyncTime(e.passed),
	}
}

// passed returns the time on the clock of leases.
func (e *examination) passed() time.Duration { return e.clock.Now().Sub(1) }

// servesHere reports whether a server of tenure serve most likely runs on this machine.
func (e *examination) servesHere() bool {
	if e.data != "" || e.Address() == nil {
		return e.data != ""
	}
	host, _, err := net.SplitHostPort(e.Address().Host)
	ip := net.ParseIP(host)

	return err != nil || host == "localhost" || ip != nil && ip.IsLoopback()
}

// adminVersion returns the version that the server tells at its admin address; "" if it does not.
func (e *examination) adminVersion(ctx context.Context) string {
	ctx, cancel := e.limited(ctx)
	defer cancel()
	client, err := e.adminClient()
	running := ""
	if err == nil {
		running, err = client.Version(ctx)
	}
	if err != nil {
		e.report.Add(doctor.Line{
			Check: "admin", Result: doctor.Warn, Found: err.Error(), Do: "check " + cli.Setting(e.cmd, "admin"),
		})
	}

	return running
}

// reach checks the way to the server, and reports whether it leads there.
func (e *examination) reach(ctx context.Context) bool {
	ctx, cancel := e.limited(ctx)
	defer cancel()
	address := e.Address()
	for _, l := range append(doctor.Name(ctx, address), doctor.Connection(ctx, address, e.passed)) {
		e.report.Add(l)
		if l.Result == doctor.Bad {
			return false
		}
	}
	if address.Secure() && !address.Proxied() {
		if chain, err := address.Certificates(ctx); err == nil {
			e.report.Add(doctor.Certificate(chain, e.now()))
		}
	}

	return true
}

// examine uses the server as lock does, and reports whether that works.
func (e *examination) examine(ctx context.Context) bool {
	client, done, err := e.open(ctx)
	if err != nil {
		e.report.Add(doctor.Failed("server", err))

		return false
	}
	defer done()
	patient := &doctor.Patient{Client: client.Client, Path: e.Path, Limit: e.ConnectTimeout}
	if client.Driver != nil {
		limited, cancel := e.limited(ctx)
		line, user := doctor.User(limited, client.Driver.Discovery)
		cancel()
		e.report.Add(line)
		patient.User = user
	}
	lines, usable, remove := patient.Rights(ctx)
	defer func() { e.report.Add(remove()...) }()
	e.report.Add(lines...)
	if usable {
		e.measure(ctx, patient)
	}

	return usable
}

// measure checks how fast the server is, and the rate of its clock.
func (e *examination) measure(ctx context.Context, patient *doctor.Patient) {
	speeds, err := patient.Speed(ctx, e.clock)
	if err != nil {
		e.report.Add(doctor.Failed("round trip", err))

		return
	}
	e.report.Add(speeds.Lines(e.Timeout)...)
	var rate doctor.Rate
	here := doctor.LocalRate(e.clock, e.now, func() { rate, err = patient.Rate(ctx, e.clock, speeds.Trip()) })
	if err != nil {
		e.report.Add(doctor.Failed("clock rate", err))
	} else {
		e.report.Add(rate.Line())
	}
	e.report.Add(here.LocalLine())
}
