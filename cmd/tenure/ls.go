package main

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/look"
	"tenure/internal/printable"
	"tenure/server"
)

// A listed is what ls prints of a semaphore.
type listed struct {
	Node string `json:"node"`
	look.Semaphore
}

func lsCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls [flags] [GLOB]",
		Short:   "list semaphores",
		Example: "tenure ls\ntenure ls 'nightly-*'\ntenure ls --path /local/tenure -o json",
		Long: `tenure ls lists the semaphores of all coordination nodes, or of the node in --path, with their holders and the
number of waiters. With GLOB, it lists those whose names match: * matches any text, ? matches one character, and [a-z]
matches one of these. Semaphores that lock creates exist only while somebody uses them.

Exit code:
  0, even if there are no semaphores; 125 failed`,
	}
	l := newLooker(env, cmd, globArgument)
	cli.Describe(cmd, "path", cli.GroupWhere, "only this coordination node")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		glob := "*"
		if len(args) > 0 {
			glob = args[0]
		}
		if _, err := match(glob, ""); err != nil {
			return err
		}
		nodes, err := l.nodes(cmd.Context())
		if err != nil {
			return err
		}
		list, err := semaphores(nodes, glob)
		if err != nil {
			return err
		}

		return l.list(list)
	}

	return cmd
}

// match reports whether the name matches the pattern. Unlike path.Match, / is a character like any other.
func match(glob, name string) (bool, error) {
	plain := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	ok, err := path.Match(plain(glob), plain(name))
	if errors.Is(err, path.ErrBadPattern) {
		return false, fmt.Errorf(`GLOB=%q is not a pattern: write e.g. 'nightly-*', and \[ for [`, glob)
	}

	return ok, err
}

// semaphores returns the semaphores of the nodes whose names match.
func semaphores(nodes []server.NodeStatus, glob string) (list []listed, err error) {
	for _, n := range nodes {
		for _, s := range n.Semaphores {
			ok, err := match(glob, s.Name)
			if err != nil {
				return nil, err
			}
			if ok {
				list = append(list, listed{n.Path, look.OfStatus(s)})
			}
		}
	}

	return list, nil
}

// list prints the semaphores.
func (l *looker) list(list []listed) error {
	if l.output == "json" {
		for _, s := range list {
			if err := l.print(s, nil); err != nil {
				return err
			}
		}

		return nil
	}
	lines := make([][]string, 0, len(list))
	for _, s := range list {
		lines = append(lines, s.cells(l))
	}

	return l.print(nil, func() string {
		return printable.Columns([]string{"NODE", "NAME", "HELD BY", "FOR", "TOKEN", "TAKEN", "WAITING"}, lines)
	})
}

func (s listed) cells(l *looker) []string {
	var who, held, token, taken, waiting string
	if len(s.Holders) > 0 {
		first := s.Holders[0]
		who, held, token = first.Name(), first.For(l.now()), strconv.FormatUint(first.Token, 10)
		if more := len(s.Holders) - 1; more > 0 {
			who += fmt.Sprintf(" and %d more", more)
		}
	}
	if s.Limit > 0 {
		taken = fmt.Sprintf("%d of %d", s.Count, s.Limit)
	}
	if n := len(s.Waiters); n > 0 {
		waiting = strconv.Itoa(n)
	}

	return []string{s.Node, s.Name, who, held, token, taken, waiting}
}
