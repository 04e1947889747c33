package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/embedded"
	"tenure/internal/look"
	"tenure/internal/printable"
	"tenure/internal/ydberr"
	"tenure/server"
)

func statusCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status [flags]",
		Short:   "show a server and who holds what",
		Example: "tenure status\ntenure status -o json\ntenure status --ydb grpc://localhost:2136/local",
		Long: `tenure status shows the embedded server, which lock and workers use by default. It shows which process runs the
server and since when, and for each coordination node who holds which semaphore, with the fencing token, and who waits
for it. With --admin, it shows the same of another server. Without, it shows only the coordination nodes of that server,
because the protocol has no request that lists semaphores.

With --check, it is a probe for images without a shell: it asks /readyz at the admin address, or otherwise the server.
With --live, it asks /healthz there, which does not depend on the disk. If that fails, restart the server.

` + cli.DirHelp + `

Exit code:
  0, even if no process uses the server; 125 if the status is unavailable, or the process that runs the server does not
  answer. With --check: 0 ready; 1 not ready, or no answer. With --live: 0 alive; 1 not alive, or no answer.`,
	}
	l := newLooker(env, cmd, noArguments, "path")
	var check, live bool
	cli.AddFlags(cmd, cli.Flag{
		Name: "check", Env: "TENURE_STATUS_CHECK", Value: &check, Group: cli.GroupLooking,
		Usage: "only say in one line whether the server is ready, and exit 0 or 1",
	}, cli.Flag{
		Name: "live", Env: "TENURE_STATUS_LIVE", Value: &live, Group: cli.GroupLooking,
		Usage: "only say in one line whether the server is alive, and exit 0 or 1",
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case check && live:
			return errors.New("--check and --live ask different questions: leave one of them out")
		case check:
			return l.probe(cmd.Context())
		case live:
			return l.probeLive(cmd.Context())
		}
		source, err := l.checkStatus()
		if err != nil {
			return err
		}
		switch {
		case !l.Embedded() && l.knowsStatus():
			status, err := l.status(cmd.Context())
			if err != nil {
				return err
			}

			return l.print(status, func() string {
				return "server " + printable.Text(l.Place()) + "\n" +
					statusText(status, l.now(), env.Style())
			})
		case !l.Embedded():
			return l.showServer(cmd.Context())
		}
		report, err := l.report(cmd.Context())
		if err != nil {
			return err
		}

		return l.print(report, func() string { return describe(report, source, l.now(), env.Style()) })
	}

	return cmd
}

// checkStatus checks the flags, and returns what has chosen the state directory.
func (l *looker) checkStatus() (source string, err error) {
	if l.Embedded() {
		choice, err := cli.ChooseDir(l.env, l.cmd, l.Dir)
		if err != nil {
			return "", err
		}
		source = choice.Source
	}

	return source, l.Check()
}

// describe returns a report as text. Source is what chose the state directory.
func describe(r embedded.Report, source string, now time.Time, style printable.Style) string {
	var b strings.Builder
	fmt.Fprintf(&b, "state directory %s (from %s)\n", printable.Text(r.Directory), printable.Text(source))
	if h := r.Host; h != nil {
		fmt.Fprintf(&b, "hosted by process %d on %s for %s: %s (tenure %s)\n", h.PID, printable.Text(h.Name),
			cli.Elapsed(now.Sub(h.Since)), printable.Text(h.Command), printable.Text(h.Version))
	} else {
		b.WriteString("no process uses it\n")
	}
	b.WriteString(statusText(r.Status, now, style))

	return b.String()
}

// statusText returns nodes with their semaphores as text.
func statusText(status server.Status, now time.Time, style printable.Style) string {
	var b strings.Builder
	if at := status.GrantsFrom; !at.IsZero() {
		fmt.Fprintf(&b, "restored from a backup: nothing is granted for %s, until %s\n",
			cli.Remaining(at.Sub(now)), at.Format(time.RFC3339))
	}
	b.WriteString(serversText(status.Servers, now, style))
	for _, n := range status.Nodes {
		fmt.Fprintf(&b, "\nnode %s, sessions: %d%s\n", style.Title(printable.Text(n.Path)), n.Sessions, servedText(n))
		for _, s := range n.Semaphores {
			for line := range strings.Lines(look.OfStatus(s).Text(now, style)) {
				b.WriteString("  " + line)
			}
		}
	}

	return b.String()
}

// serversText returns the servers that share a store as text.
func serversText(servers []server.MemberStatus, now time.Time, style printable.Style) string {
	if len(servers) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n", printable.Count(len(servers), "server", "servers"))
	for _, s := range servers {
		fmt.Fprintf(&b, "  %s", printable.Text(s.Address))
		if s.Peer != "" {
			fmt.Fprintf(&b, " (for servers: %s)", printable.Text(s.Peer))
		}
		fmt.Fprintf(&b, ", tenure %s, owns %s", printable.Text(s.Version), printable.Count(s.Nodes, "node", "nodes"))
		if !s.Since.IsZero() {
			fmt.Fprintf(&b, ", started %s ago", cli.Elapsed(now.Sub(s.Since)))
		}
		switch {
		case s.Error != "":
			b.WriteString(", " + style.Bad("does not answer: "+printable.Text(s.Error)))
		case s.Asked:
			b.WriteString(", the one that was asked")
		}
		b.WriteString("\n")
	}

	return b.String()
}

// servedText returns which of several servers serves the node.
func servedText(n server.NodeStatus) string {
	switch {
	case n.Unserved && n.Server != "":
		return ", owned by " + printable.Text(n.Server) + ", which does not answer: as stored in etcd"
	case n.Unserved:
		return ", served by no server at the moment: as stored in etcd"
	case n.Server != "":
		return ", served by " + printable.Text(n.Server)
	}

	return ""
}

// A serverStatus is what status prints of a server that only the protocol can be used for.
type serverStatus struct {
	Server   string     `json:"server"` // without user and password
	Database string     `json:"database"`
	Answer   float64    `json:"answer_seconds"` // how long the server took to list the database
	Nodes    []nodePath `json:"nodes"`
	More     bool       `json:"more,omitempty"` // the database has more directories than were searched
}

type nodePath struct {
	Path string `json:"path"`
}

// showServer shows what the protocol tells of a server.
func (l *looker) showServer(ctx context.Context) error {
	client, done, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	began := l.clock.Now()
	limited, cancel := l.limited(ctx)
	defer cancel()
	nodes, more, err := nodesBelow(limited, client.Driver.Scheme, l.Database())
	switch {
	case err != nil && limited.Err() != nil && ctx.Err() == nil && !ydberr.Answered(err) && !ydberr.Busy(err) &&
		!ydberr.Unreachable(err):
		return fmt.Errorf("list %s: %w: if the server uses etcd, check that etcd answers: \"tenure doctor --etcd\" shows "+
			"that", l.Database(), context.Cause(limited))
	case err != nil:
		return err
	}
	s := serverStatus{
		Server: l.Place(), Database: l.Database(), Answer: l.clock.Now().Sub(began).Seconds(),
		Nodes: make([]nodePath, 0, len(nodes)), More: more,
	}
	for _, path := range nodes {
		s.Nodes = append(s.Nodes, nodePath{path})
	}

	return l.print(s, func() string {
		var b strings.Builder
		fmt.Fprintf(&b, "server %s answers\n", printable.Text(s.Server))
		for _, n := range s.Nodes {
			fmt.Fprintf(&b, "node %s\n", printable.Text(n.Path))
		}
		if s.More {
			fmt.Fprintf(&b, "the database has more than %d directories: the others were not searched\n", maxDirectories)
		}

		return b.String()
	})
}
