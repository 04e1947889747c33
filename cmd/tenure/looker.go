package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/clock"
)

// A looker is a command that looks at a server, or changes what is on it.
type looker struct {
	cli.Session

	env    *cli.Env
	cmd    *cobra.Command
	output string
	admin  string // the admin address; empty: none
	clock  clock.Clock
}

// newLooker adds the flags that all such commands have to cmd, except those to omit. The command takes the arguments.
func newLooker(env *cli.Env, cmd *cobra.Command, args []string, omit ...string) *looker {
	l := &looker{env: env, cmd: cmd, output: "text", clock: clock.Go()}
	l.Omit = append(omit, "timeout", "no-create")
	l.ByAdmin = l.byAdmin
	cmd.Args = cli.Arguments(args...)
	cli.Groups(cmd, cli.GroupWhere, cli.GroupLooking)
	l.AddFlags(cmd, env)
	cli.AddFlags(cmd, l.adminFlag())
	if !slices.Contains(omit, "path") {
		cli.Describe(cmd, "path", cli.GroupWhere, "coordination node (default <database>/tenure)")
	}
	if !slices.Contains(omit, "output") {
		cli.AddFlags(cmd, cli.OutputFlag(&l.output))
	}
	if len(args) > 0 && args[0] == nameArgument[0] {
		l.CompleteNames(l.status)
	}

	return l
}

// The arguments of commands.
var (
	noArguments  = []string{}
	nameArgument = []string{"NAME"}
	nameAndToken = []string{"NAME", "TOKEN"}
	globArgument = []string{"[GLOB]"}
	pathArgument = []string{"PATH"}
	fileArgument = []string{"FILE"}
)

// open connects to the server, after Check. The caller calls done.
func (l *looker) open(ctx context.Context) (client *cli.Client, done func(), err error) {
	if l.ByAdmin != nil && l.byAdmin() {
		return nil, nil, fmt.Errorf("%s needs the address of the server, and %s names only its admin address: pass --ydb "+
			"or TENURE_DSN", l.cmd.CommandPath(), cli.Setting(l.cmd, "admin"))
	}
	l.Prepare()
	monitor := l.NewMonitor()
	client, err = l.Open(ctx, monitor)
	if err != nil {
		monitor.Close()

		return nil, nil, err
	}

	return client, func() {
		client.Close(ctx)
		monitor.Close()
	}, nil
}

// print prints the object as JSON, or otherwise the text.
func (l *looker) print(object any, text func() string) error {
	if l.output == "json" {
		return json.NewEncoder(l.env.Data).Encode(object)
	}
	_, err := io.WriteString(l.env.Data, text())

	return err
}

func (l *looker) now() time.Time { return l.clock.Time(l.clock.Now()) }
