// Package workerscmd contains the command workers, which is a program and a subcommand of tenure.
package workerscmd

import (
	"io"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"tenure/internal/ancestry"
	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/lines"
	"tenure/internal/tasklist"
)

// A worker is one run of the command.
type worker struct {
	cli.Session
	config

	env   *cli.Env
	cmd   *cobra.Command
	clock clock.Clock

	argv       []string       // COMMAND and its arguments, with {task} in them; nil: there is no COMMAND
	path       string         // of the program; empty: it depends on the task
	stopSignal syscall.Signal // of --signal
	ancestors  []ancestry.Hold

	specs  []tasklist.Spec   // the first list
	list   *tasklist.Watched // nil: the list does not change
	reload chan struct{}     // has one element if the list is to be read again

	hangUps chan syscall.Signal // has one element if SIGHUP has arrived

	monitor *cli.Monitor
	stderr  io.Writer // for events; unlike env.Stderr, it takes lines of any format
	events  io.Writer // for JSON; nil: text
	meter   *meter
	state   *state
	screen  *screen
	printer *lines.Printer // nil: COMMANDs print without names
	stopper stopper

	ownSession  atomic.Uint64 // the id of the present session
	progressDue clock.Instant // when the progress is reported next; owned by observe
}

// Command returns the command workers.
func Command(env *cli.Env) *cobra.Command {
	w := &worker{
		env: env, config: newConfig(), clock: clock.Go(), reload: make(chan struct{}, 1),
		hangUps: make(chan syscall.Signal, 1),
	}
	cmd := &cobra.Command{
		Use:     "workers [flags] -- COMMAND [ARG...]",
		Short:   "run a share of a set of tasks",
		Example: examples,
		Long:    about,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			defer w.prepareLog()()
			if err := w.check(args); err != nil {
				return err
			}

			return w.start(cmd.Context())
		},
	}
	w.cmd = cmd
	cli.TakesCommand(cmd, 0)
	cli.Manual(cmd, manual)
	cli.Groups(cmd, cli.GroupWhere, groupTasks, groupBalance, groupRunning, cli.GroupLooking)
	w.AddFlags(cmd, env)
	describe(cmd)
	cli.AddFlags(cmd, w.flags(env, &w.Session, cmd)...)

	return cli.Program(cmd)
}
