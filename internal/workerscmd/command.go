// Package workerscmd contains the command workers, which is a program and a subcommand of tenure.
package workerscmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/identity"
	"tenure/workers"
)

// maxTasks keeps a typing error from asking for more semaphores than a node can have.
const maxTasks = 100_000

// A worker is one run of the command.
type worker struct {
	cli.Session

	env      *cli.Env
	cmd      *cobra.Command
	tasks    int
	prefix   string
	capacity int

	monitor *cli.Monitor
}

// Command returns the command workers.
func Command(env *cli.Env) *cobra.Command {
	w := &worker{env: env, tasks: 10, prefix: "job-", capacity: 4}
	cmd := &cobra.Command{
		Use:     "workers [flags]",
		Short:   "run a share of a set of tasks",
		Example: "workers --tasks 10 --capacity 4\nworkers --ydb grpc://localhost:2136/local --tasks 10 --capacity 4",
		Long: `workers runs its share of the tasks PREFIX0, PREFIX1, ... Each task runs in one process at a time, and no
process runs more than --capacity of them. workers prints events until it is interrupted. Then it stops its tasks and
releases them, and processes with free capacity start them immediately. If it loses its session because the server
cannot be reached, it stops its tasks, opens a new session and asks for tasks again.

The tasks only print lines: this version cannot run a COMMAND. Go programs run tasks with package tenure/workers.

` + cli.ServerHelp + `

` + cli.DirHelp + `

Exit code:
  0 after an interrupt; 125 if workers itself failed.`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case cmd.ArgsLenAtDash() >= 0:
				return errors.New("this version of workers cannot run a COMMAND: leave out -- and everything after it")
			case len(args) > 0:
				return fmt.Errorf("unexpected argument %q: see workers --help", args[0])
			}

			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := w.check(); err != nil {
				return err
			}
			w.monitor = w.NewMonitor()
			defer w.monitor.Close()

			return w.run(cmd.Context())
		},
	}
	w.cmd = cmd
	w.AddFlags(cmd, env)
	cli.AddFlags(cmd,
		cli.Flag{Name: "tasks", Arg: "N", Example: "10", Usage: "number of tasks", Value: &w.tasks},
		cli.Flag{
			Name: "semaphore-prefix", Arg: "PREFIX", Example: "job-", Usage: "beginning of the tasks' names", Value: &w.prefix,
		},
		cli.Flag{
			Name: "capacity", Arg: "C", Example: "4", Usage: "most tasks that this process runs", Value: &w.capacity,
		},
	)

	return cli.Program(cmd)
}

// check checks the values of the flags.
func (w *worker) check() error {
	if w.tasks < 1 || w.tasks > maxTasks {
		return fmt.Errorf("%s=%d is out of range: must be between 1 and %d", cli.Setting(w.cmd, "tasks"), w.tasks, maxTasks)
	}
	if w.capacity < 1 {
		return fmt.Errorf("%s=%d is out of range: must be 1 or more", cli.Setting(w.cmd, "capacity"), w.capacity)
	}

	return w.Check()
}

// run runs tasks that print lines until parent ends.
func (w *worker) run(parent context.Context) error {
	w.Prepare()
	client, err := w.Open(parent, w.monitor)
	if err == nil {
		ctx, stop := context.WithCancelCause(context.WithoutCancel(parent))
		defer stop(nil)
		defer context.AfterFunc(parent, func() {
			w.say("stopping tasks")
			stop(context.Cause(parent))
		})()
		err = workers.Run(ctx, client, w.Path, workers.Numbered(w.prefix, w.tasks), w.work, w.options()...)
		client.Close(parent)
	}
	if err != nil && parent.Err() == nil {
		return err
	}
	w.say("exiting")

	return nil
}

func (w *worker) options() []workers.Option {
	opts := []workers.Option{
		workers.WithGreedy(),
		workers.WithPool(w.prefix),
		workers.WithCapacity(w.capacity),
		workers.WithTimeout(w.Timeout),
		workers.WithData([]byte(identity.Of("workers"))),
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
		w.monitor.Opened("waiting for a free task on " + w.Place())
		w.say("starting tasks")
	case workers.Started:
		w.monitor.Granted()
		w.say("worker " + e.Task + ": starting")
	case workers.Full:
		if e.Tasks == e.Of {
			w.say("all workers are started")
		} else {
			w.say(fmt.Sprintf("running %d of %d tasks (at capacity)", e.Tasks, e.Of))
		}
	case workers.Lost:
		w.complain(e.Cause)
	case workers.NoSession:
		w.monitor.NoSession(e.For, e.Err)
	case workers.Retry:
		if errors.Is(e.Err, workers.ErrLost) { // Lost has reported it
			e.Err = nil
		}
		w.monitor.Failed(e.Err)
	}
}

// work prints lines that show that the task runs.
func (w *worker) work(ctx context.Context, task *workers.Task) error {
	for clock.Pause(ctx, clock.Go(), time.Second) {
		w.say("worker " + task.Name() + ": in progress")
	}
	w.say("worker " + task.Name() + ": done")

	return nil
}

func (w *worker) say(line string) { fmt.Fprintln(w.env.Stdout, line) }

func (w *worker) complain(err error) { cli.Complain(w.env, "workers", err) }
