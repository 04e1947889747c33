package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"tenure"
	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/embedded"
	"tenure/server"
)

func statusCommand(env *cli.Env) *cobra.Command {
	var dir string
	dsn, output := tenure.Embedded, "text"
	cmd := &cobra.Command{
		Use:     "status [flags]",
		Short:   "show the embedded server and who holds what",
		Example: "tenure status\ntenure status -o json",
		Long: `tenure status shows the embedded server, which lock and workers use by default. It shows which process runs the
server and since when, and for each coordination node who holds which semaphore, with the fencing token, and who waits
for it. It cannot ask other servers yet.

` + cli.DirHelp + `

Exit code:
  0, even if no process uses the server; 125 if the status is unavailable, or the process that runs the server does not
  answer.`,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if output != "text" && output != "json" {
			return fmt.Errorf("%s=%q is not a format: write text or json", cli.Setting(cmd, "output"), output)
		}
		if dsn != tenure.Embedded {
			return fmt.Errorf("tenure status cannot ask a server yet, and %s names one: to see the embedded server, run: "+
				"tenure status --ydb embedded", cli.Setting(cmd, "ydb"))
		}
		choice, err := cli.ChooseDir(env, cmd, dir)
		if err != nil {
			return err
		}

		return status(cmd.Context(), env.Data, choice, output)
	}
	cli.AddFlags(cmd,
		cli.DSNFlag(&dsn),
		cli.DirFlag(&dir, env, func() bool { return dsn == tenure.Embedded }),
		cli.Flag{
			Name: "output", Short: "o", Arg: "FORMAT", Example: "json", Usage: "text, or json: one object", Value: &output,
			Values: []string{"text", "json"},
		},
	)

	return cmd
}

func status(ctx context.Context, w io.Writer, choice embedded.Choice, output string) error {
	read := make(reading)
	stops := cli.HandleStops(read, func(error) {})
	report, err := embedded.ReadReport(ctx, embedded.Config{
		Dir: choice.Dir, DirSetting: cli.DirSetting, AddressSetting: cli.AddressSetting,
	})
	close(read)
	stops.Close()
	if err != nil {
		return err
	}
	if output == "json" {
		return json.NewEncoder(w).Encode(report)
	}
	_, err = io.WriteString(w, describe(report, choice.Source, clock.System()))

	return err
}

// reading is closed when the report has been read. Until then this process may host the server, but only for a moment,
// so a stop waits for the end of reading. If that takes longer, this process waits for another host.
type reading chan struct{}

func (r reading) StepAside(ctx context.Context) error {
	select {
	case <-r:
	case <-ctx.Done():
	}

	return nil
}

func (reading) Resume() {}

// describe returns a report as text. Source is what chose the state directory.
func describe(r embedded.Report, source string, clk clock.Clock) string {
	var b strings.Builder
	fmt.Fprintf(&b, "state directory %s (from %s)\n", r.Directory, source)
	if h := r.Host; h != nil {
		since := clk.Time(clk.Now()).Sub(h.Since).Round(time.Second)
		fmt.Fprintf(&b, "hosted by process %d on %s for %v: %s (tenure %s)\n", h.PID, h.Name, since, h.Command, h.Version)
	} else {
		b.WriteString("no process uses it\n")
	}
	for _, n := range r.Nodes {
		fmt.Fprintf(&b, "\nnode %s, sessions: %d\n", n.Path, n.Sessions)
		for _, s := range n.Semaphores {
			semaphore(&b, s)
		}
	}

	return b.String()
}

func semaphore(w io.Writer, s server.SemaphoreStatus) {
	fmt.Fprintf(w, "  %q", s.Name)
	if !s.Ephemeral {
		fmt.Fprintf(w, ", %d of %d taken", s.Count, s.Limit)
	}
	if s.Data != "" {
		fmt.Fprintf(w, ", data %q", s.Data)
	}
	if len(s.Owners) == 0 {
		fmt.Fprint(w, ", free")
	}
	fmt.Fprintln(w)
	for _, o := range s.Owners {
		holder(w, "held by", s, o)
	}
	for i, o := range s.Waiters {
		holder(w, fmt.Sprintf("waiter %d:", i+1), s, o)
	}
}

func holder(w io.Writer, does string, s server.SemaphoreStatus, h server.HolderStatus) {
	who := cmp.Or(h.Data, h.Description)
	if strings.ContainsFunc(who, func(r rune) bool { return !unicode.IsPrint(r) }) {
		who = strconv.Quote(who)
	}
	fmt.Fprintf(w, "    %s %s, session %d, token %d", does, who, h.Session, h.Token)
	if !s.Ephemeral || h.Count != s.Limit {
		fmt.Fprintf(w, ", %d of it", h.Count)
	}
	if !h.Attached {
		fmt.Fprint(w, ", disconnected: its session timeout is running")
	}
	fmt.Fprintln(w)
}
