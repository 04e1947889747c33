package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/cli"
	"tenure/internal/look"
	"tenure/internal/ydberr"
)

func watchCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "watch [flags] NAME",
		Short:   "show each change of the holders of a semaphore",
		Example: "tenure watch deploy\ntenure watch -o json deploy",
		Long: `tenure watch prints a line with the holders of a semaphore, and another one each time the holders or the data
change, until it is interrupted. Waiters that come and go are no change. It creates nothing, and a semaphore that does
not exist is free.

A holder may come and go between two looks, for example while the server cannot be reached. tenure watch does not hide
that: it says how many grants may be missing at most. It knows that from the tokens, which grow with each grant on the
node. If other semaphores of the node are in use, their grants count too.

Exit code:
  0 after an interrupt; 125 failed`,
	}
	l := newLooker(env, cmd, nameArgument)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := l.Check(); err != nil {
			return err
		}

		return l.watch(cmd.Context(), args[0])
	}

	return cmd
}

func (l *looker) watch(ctx context.Context, name string) error {
	client, done, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	style, said := l.env.Style(), ""
	watcher := look.Watcher{
		Name: name, Clock: l.clock,
		Open: func(ctx context.Context) (coordination.Session, error) { return l.Look(ctx, client) },
		Changed: func(c look.Change) error {
			said = ""

			return l.print(c, func() string { return c.Line(style) + "\n" })
		},
		Lost: func(err error) {
			if text := ydberr.Text(err); text != said {
				said = text
				l.complain(fmt.Sprintf("%s: trying again", text))
			}
		},
	}
	err = watcher.Run(ctx)
	if ctx.Err() != nil {
		return nil
	}

	return err
}
