package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/workers"
)

// maxTasks keeps a slip of the finger from asking for more semaphores than a node can have.
const maxTasks = 100_000

// A worker is one run of the command.
type worker struct {
	cli.Session

	env      *cli.Env
	tasks    int
	prefix   string
	capacity int
}

func command(env *cli.Env) *cobra.Command {
	w := &worker{env: env, tasks: 10, prefix: "job-", capacity: 4}
	cmd := &cobra.Command{
		Use:     "workers [flags]",
		Example: "workers -tasks 10 -capacity 4\nworkers -ydb grpc://localhost:2136/local -tasks 10 -capacity 4",
		Long: `workers runs its share of the tasks PREFIX0, PREFIX1, ...: each task runs in one process at a time, and no
process runs more than -capacity. It shows what happens, until it is interrupted: then it stops its tasks and gives
them back, and others with room have them at once. When its session is lost, since the server cannot be reached, it
stops its tasks and begins anew.

Without -ydb there is nothing to install: the processes of this machine share a server that one of them hosts.
Credentials come from the variables YDB_*, as ydb-go-sdk-auth-environ reads them.
Exit code: 0 after an interrupt, 125 when workers itself failed.`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case cmd.ArgsLenAtDash() >= 0:
				return errors.New("this version of workers does not run a COMMAND: leave out -- and what follows")
			case len(args) > 0:
				return fmt.Errorf("argument %q is one too many: see workers --help", args[0])
			}

			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := w.check(); err != nil {
				return err
			}

			return w.run(cmd.Context())
		},
	}
	cli.AddFlags(cmd, w.Flags()...)
	cli.AddFlags(cmd,
		cli.Flag{Name: "tasks", Arg: "N", Usage: "how many tasks there are", Value: &w.tasks},
		cli.Flag{Name: "semaphore-prefix", Arg: "PREFIX", Usage: "what their names begin with", Value: &w.prefix},
		cli.Flag{Name: "capacity", Arg: "C", Usage: "how many to run here at most", Value: &w.capacity},
	)

	return cmd
}

// check looks at the command line.
func (w *worker) check() error {
	if w.tasks < 1 || w.tasks > maxTasks {
		return fmt.Errorf("-tasks=%d is not within 1 and %d", w.tasks, maxTasks)
	}
	if w.capacity < 1 {
		return fmt.Errorf("-capacity=%d runs nothing: it must be 1 or more", w.capacity)
	}

	return w.Check()
}

// run runs tasks until parent ends, with visible work.
func (w *worker) run(parent context.Context) error {
	client, err := w.Open(parent, w.notice)
	if err == nil {
		ctx, stop := context.WithCancelCause(context.WithoutCancel(parent))
		defer stop(nil)
		defer context.AfterFunc(parent, func() {
			w.say("stopping tasks")
			stop(context.Cause(parent))
		})()
		err = workers.Run(ctx, client, w.Path, w.names(), w.capacity, w.work, w.options()...)
		client.Close(parent)
	}
	if err != nil && parent.Err() == nil {
		return err
	}
	w.say("exiting")

	return nil
}

func (w *worker) names() []string {
	names := make([]string, w.tasks)
	for i := range names {
		names[i] = fmt.Sprint(w.prefix, i)
	}

	return names
}

func (w *worker) options() []workers.Option {
	opts := []workers.Option{
		workers.WithTimeout(w.Timeout),
		workers.WithData(cli.Self(w.env)),
		workers.WithDescription("workers"),
		workers.WithObserver(w.observe),
	}
	if w.NoCreate {
		opts = append(opts, workers.WithoutCreate())
	}

	return opts
}

func (w *worker) observe(e workers.Event) {
	switch e := e.(type) {
	case workers.Asking:
		w.say("starting tasks")
	case workers.Started:
		w.say("worker " + e.Task + ": starting")
	case workers.Full:
		w.say("all workers are started")
	case workers.Lost:
		w.complain(e.Cause)
	case workers.Retry:
		if !errors.Is(e.Err, workers.ErrLost) { // said by Lost
			w.complain(fmt.Errorf("%w: trying again", e.Err))
		}
	}
}

// work is there to be seen.
func (w *worker) work(ctx context.Context, task string) error {
	for clock.Pause(ctx, clock.Go(), time.Second) {
		w.say("worker " + task + ": in progress")
	}
	w.say("worker " + task + ": done")

	return nil
}

func (w *worker) say(line string) { fmt.Fprintln(w.env.Stdout, line) }

func (w *worker) notice(line string) { w.complain(errors.New(line)) }

func (w *worker) complain(err error) { cli.Complain(w.env, "workers", err) }
