package main

import (
	"github.com/spf13/cobra"

	"tenure/internal/cli"
)

// exitFree is the exit code of who if nobody holds the semaphore.
const exitFree = 1

func whoCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "who [flags] NAME",
		Short:   "show who holds a semaphore, and who waits for it",
		Example: "tenure who deploy\ntenure who --ydb grpc://localhost:2136/local -o json deploy",
		Long: `tenure who shows the holders of a semaphore and the waiters in the order of the queue, with their fencing
tokens and their sessions. It changes nothing: it does not create the node, and a semaphore that does not exist is free.

The holder's description, and the time since when it holds the semaphore, are those that lock and workers attach to it.
docs/operations.md lists the fields of -o json.

Exit code:
  0 somebody holds it; 1 it is free; 125 failed`,
	}
	l := newLooker(env, cmd, nameArgument)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := l.Check(); err != nil {
			return err
		}
		s, err := l.semaphore(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		err = l.print(s, func() string { return s.Text(l.now(), env.Style()) })
		if err == nil && !s.Held {
			err = &cli.ExitError{Code: exitFree}
		}

		return err
	}

	return cmd
}
