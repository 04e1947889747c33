package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tenure/internal/admin"
	"tenure/internal/cli"
	"tenure/internal/printable"
	"tenure/server"
)

func sessionCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "session",
		Short:   "list and end sessions",
		Example: "tenure session ls\ntenure session end 7",
		Long: `tenure session shows the sessions that hold semaphores or wait for them, and ends sessions. It works with the
embedded server and with the admin address of "tenure serve": the protocol has no such requests.`,
	}
	cmd.AddCommand(sessionLs(env), sessionEnd(env))

	return cmd
}

// A sessionRow is what session ls prints of a session.
type sessionRow struct {
	Node        string   `json:"node"`
	Session     uint64   `json:"session"`
	Connected   bool     `json:"connected"`
	Description string   `json:"description"`
	Holds       []string `json:"holds"` // names of semaphores
	Waits       []string `json:"waits"`
}

func sessionLs(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls [flags]",
		Short:   "list sessions",
		Example: "tenure session ls\ntenure session ls --path /local/tenure -o json",
		Long: `tenure session ls lists the sessions of all coordination nodes, or of the node in --path, that hold semaphores
or wait for them.

Exit code:
  0, even if there are no sessions; 125 failed`,
	}
	l := newLooker(env, cmd, noArguments)
	cli.Describe(cmd, "path", cli.GroupWhere, "only this coordination node")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		nodes, err := l.nodes(cmd.Context())
		if err != nil {
			return err
		}
		var lines [][]string
		for _, n := range nodes {
			for _, row := range sessionsOf(n) {
				if l.output == "json" {
					if err := l.print(row, nil); err != nil {
						return err
					}
				}
				lines = append(lines, row.cells())
			}
		}
		if l.output == "json" {
			return nil
		}

		return l.print(nil, func() string {
			return printable.Columns([]string{"NODE", "SESSION", "CONNECTED", "DESCRIPTION", "HOLDS", "WAITS FOR"}, lines)
		})
	}

	return cmd
}

// sessionsOf returns the sessions of a node that hold or wait, by id.
func sessionsOf(n server.NodeStatus) []sessionRow {
	rows := map[uint64]*sessionRow{}
	row := func(h server.HolderStatus) *sessionRow {
		if rows[h.Session] == nil {
			rows[h.Session] = &sessionRow{
				Node: n.Path, Session: h.Session, Connected: h.Attached, Description: h.Description,
				Holds: []string{}, Waits: []string{},
			}
		}

		return rows[h.Session]
	}
	for _, s := range n.Semaphores {
		for _, o := range s.Owners {
			r := row(o)
			r.Holds = append(r.Holds, s.Name)
		}
		for _, w := range s.Waiters {
			r := row(w)
			r.Waits = append(r.Waits, s.Name)
		}
	}
	list := make([]sessionRow, 0, len(rows))
	for _, r := range rows {
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b sessionRow) int {
		if a.Session < b.Session {
			return -1
		}

		return 1
	})

	return list
}

func (r sessionRow) cells() []string {
	connected := "no"
	if r.Connected {
		connected = "yes"
	}

	return []string{
		r.Node, strconv.FormatUint(r.Session, 10), connected, r.Description,
		strings.Join(r.Holds, ", "), strings.Join(r.Waits, ", "),
	}
}

func sessionEnd(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "end [flags] ID",
		Short:   "end a session",
		Example: "tenure session end 7",
		Long: `tenure session end ends a session of the coordination node, as if its timeout had passed. The session loses
everything that it holds, and its client notices that when it hears from the server. It may still be running: make sure
that it is dead or harmless.

Exit code:
  0 the session is ended; 1 there is no such session; 125 failed`,
	}
	l := newLooker(env, cmd, []string{"ID"}, "output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := strconv.ParseUint(args[0], 10, 64)
		if err != nil || id == 0 {
			return fmt.Errorf("ID=%q is not the id of a session: tenure session ls shows them", args[0])
		}
		if err := l.Check(); err != nil {
			return err
		}
		err = l.endSession(cmd.Context(), l.Path, id, 0)
		if errors.Is(err, admin.ErrNoSession) {
			return &cli.ExitError{Code: exitRefused, Err: fmt.Errorf("node %q has no session %d", l.Path, id)}
		}
		if err == nil {
			l.complain(fmt.Sprintf("session %d is ended; its client may still be running", id))
		}

		return err
	}

	return cmd
}
