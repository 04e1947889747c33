package main

import (
	"errors"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
)

// exitFree is the exit code of who if nobody holds the semaphore.
const exitFree = 1

func whoCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "who [flags] NAME",
		Short: "show who holds a semaphore, and who waits for it",
		Example: "tenure who deploy\ntenure who --ydb grpc://localhost:2136/local -o json deploy\n" +
			"tenure who --history --audit /var/log/tenure/audit.log deploy",
		Long: `tenure who shows the holders of a semaphore and the waiters in the order of the queue, with their fencing
tokens and their sessions. It changes nothing: it does not create the node, and a semaphore that does not exist is free.

The holder's description, and the time since when it holds the semaphore, are those that lock and workers attach to it.
docs/operations.md lists the fields of -o json.

With --history, it reads the audit log of "tenure serve" instead of asking a server, with the older files of the log. It
shows each grant with its begin and its end, says whether two holders had the semaphore at the same time, and what the
log cannot show.

Exit code:
  0 somebody holds it; 1 it is free; 125 failed
  with --history: 0 there were never more holders than the limit allows; 1 there were; 125 failed`,
	}
	l := newLooker(env, cmd, nameArgument)
	h := &history{looker: l}
	cli.AddFlags(cmd, h.flags()...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if h.history {
			return h.run(args[0])
		}
		if cli.OnLine(cmd, "audit") {
			return errors.New("--audit is for the history: pass --history, or leave --audit out")
		}
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
