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

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/embedded"
	"tenure/server"
)

func statusCommand(env *cli.Env) *cobra.Command {
	var dir string
	output := "text"
	cmd := &cobra.Command{
		Use:     "status [flags]",
		Short:   "who hosts the embedded server, and what is held there",
		Example: "tenure status\ntenure status -o json",
		Long: `tenure status tells of the server that lock, workers and programs use without -ydb: which process hosts it and
since when, and of each coordination node who holds what, with which fencing token, and who waits.

Exit code: 0, also when nobody uses it; 125 when it can't be told, or the process that hosts it does not answer.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("-o=%q is not known: write text or json", output)
			}
			if dir == "" {
				choice, err := embedded.DefaultDir(env.LookupEnv)
				if err != nil {
					return err
				}
				dir = choice.Dir
			}

			return status(cmd.Context(), env.Stdout, dir, output)
		},
	}
	cli.AddFlags(cmd,
		cli.Flag{Name: "dir", Arg: "DIR", Usage: "state directory of the embedded server", Value: &dir},
		cli.Flag{Name: "output", Short: "o", Arg: "FORMAT", Usage: "text, or json: one object", Value: &output},
	)

	return cmd
}

func status(ctx context.Context, w io.Writer, dir, output string) error {
	report, err := embedded.ReadReport(ctx, dir)
	if err != nil {
		return err
	}
	if output == "json" {
		return json.NewEncoder(w).Encode(report)
	}
	_, err = io.WriteString(w, describe(report, clock.System()))

	return err
}

// describe words a report for people.
func describe(r embedded.Report, clk clock.Clock) string {
	var b strings.Builder
	if h := r.Host; h != nil {
		since := clk.Time(clk.Now()).Sub(h.Since).Round(time.Second)
		fmt.Fprintf(&b, "%s is hosted by process %d on %s for %v: %s (tenure %s)\n", r.Directory, h.PID, h.Name, since,
			h.Command, h.Version)
	} else {
		fmt.Fprintf(&b, "%s is not in use\n", r.Directory)
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
		holder(w, fmt.Sprintf("%d. waits", i+1), s, o)
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
		fmt.Fprint(w, ", not connected: its timeout runs")
	}
	fmt.Fprintln(w)
}
