package workerscmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"

	"tenure/internal/cli"
	"tenure/internal/command"
	"tenure/internal/embedded"
	"tenure/internal/identity"
	"tenure/internal/lines"
	"tenure/internal/printable"
	"tenure/internal/tasklist"
	terms "tenure/internal/term"
	"tenure/workers"
)

// exitFailed is the exit code if tasks have failed for good.
const exitFailed = 1

// stopMargin is what Run has in addition to --drain, for COMMANDs that are killed at its end.
const stopMargin = 3 * time.Second

// start does what the flags ask for.
func (w *worker) start(ctx context.Context) error {
	w.Prepare()
	w.prepareEvents()
	w.monitor = w.NewMonitor()
	defer w.monitor.Close()
	if !w.status && !w.watch { // from the beginning, so that HUP does not end a worker that is about to start
		defer cli.Divert(ctx, syscall.SIGHUP, w.hangUps)()
	}
	if err := w.loadTasks(ctx); err != nil {
		return err
	}
	if w.status || w.watch {
		return w.look(ctx)
	}
	w.prepareScreen()
	defer w.screen.show("")
	w.state = newState(w.capacity)
	w.meter = newMeter(w.once, w.state)
	if err := w.serveMetrics(); err != nil {
		return err
	}
	defer w.meter.server.Close()

	return w.run(ctx)
}

// prepareScreen decides how what COMMANDs print appears.
func (w *worker) prepareScreen() {
	w.screen = &screen{}
	stdout, stderr := w.env.Inherited()
	if file, ok := stderr.(*os.File); ok && w.once && !w.raw && !w.quiet && w.events == nil && w.logFormat == "text" &&
		term.IsTerminal(int(file.Fd())) {
		w.screen.w = w.env.Stderr
		w.screen.width = func() int {
			width, _, _ := term.GetSize(int(file.Fd())) // 0: not known

			return width
		}
		w.env.Stderr, w.env.Stdout = w.screen.over(w.env.Stderr), w.screen.over(w.env.Stdout)
	}
	if !w.raw {
		color := lines.Coloured(stdout, w.env.LookupEnv) && lines.Coloured(stderr, w.env.LookupEnv)
		w.printer = lines.New(w.env.Stdout, w.rawStderr(), color)
	}
}

// rawStderr returns standard error for what COMMANDs print, whatever the format of messages is.
func (w *worker) rawStderr() io.Writer {
	if w.screen.w != nil {
		return w.env.Stderr
	}

	return w.stderr
}

// run runs tasks until ctx ends, or until all are done with --once.
func (w *worker) run(parent context.Context) error {
	client, err := w.Open(parent, w.monitor)
	if err != nil {
		return w.over(parent, err)
	}
	defer client.Close(parent)
	ctx, stop := context.WithCancelCause(context.WithoutCancel(parent))
	defer stop(nil)
	defer context.AfterFunc(parent, func() {
		w.say("stopping tasks")
		stop(context.Cause(parent))
	})()
	w.stopper.begin(ctx, w)
	defer w.stopper.end()
	defer w.handleSignals(parent, stop, client)()
	options, err := w.options()
	if err != nil {
		return err
	}
	work := w.demonstrate
	if w.argv != nil {
		work = w.runCommand
	}
	err = workers.Run(ctx, client, w.Path, w.source(), work, options...)

	return w.over(ctx, terms.Bare(err))
}

// over returns the result of the command for that of workers.Run.
func (w *worker) over(ctx context.Context, err error) error {
	failed, some := errors.AsType[*workers.FailedError](err)
	stuck, still := errors.AsType[*workers.StuckError](err)
	if some {
		for _, task := range failed.Tasks { // those that have failed in other workers are not known yet
			w.state.failedFor(task, "")
		}
	}
	if err == nil || some {
		w.showProgress(true)
		list := event{Event: "finished"}
		if some {
			list.Tasks = failed.Tasks
		}
		w.report(list, "")
	}
	switch {
	case some:
		w.listFailed(failed.Tasks)

		return &cli.ExitError{Code: exitFailed, Err: fmt.Errorf("%d of %s failed for good", len(failed.Tasks),
			tasks(w.state.total()))}
	case still:
		return &cli.ExitError{Code: command.ExitLost, Err: stuck}
	case err != nil && ctx.Err() == nil:
		return err
	}
	w.say("exiting")
	if w.stopper.killed() {
		return &cli.ExitError{Code: command.ExitLost}
	}

	return nil
}

// source returns the source of tasks.
func (w *worker) source() workers.Source {
	return workers.SourceFunc(func(ctx context.Context, update func([]workers.Spec) error) error {
		first := true
		use := func(specs []tasklist.Spec) error {
			if !first {
				w.warn(specs)
			}
			first = false
			w.state.setTasks(specs)

			return update(specs)
		}
		if w.list == nil {
			return use(w.specs)
		}

		return w.list.Watch(ctx, use)
	})
}

func (w *worker) options() ([]workers.Option, error) {
	opts := []workers.Option{
		workers.WithTimeout(w.Timeout),
		workers.WithCapacity(w.capacity),
		workers.WithSettle(w.settle),
		workers.WithMoves(w.moves),
		workers.WithBackoff(w.backoff, max(w.backoff, longestPause)),
		workers.WithGiveUp(w.giveUp),
		workers.WithData([]byte(identity.Of(w.program()))),
		workers.WithDescription(identity.Of(w.program())),
		workers.WithObserver(w.observe),
	}
	if w.argv != nil {
		opts = append(opts, workers.WithDrain(w.drain+stopMargin))
	}
	if pool := w.pool(); pool != "" {
		opts = append(opts, workers.WithPool(pool))
	}
	if w.assign == assignGreedy {
		opts = append(opts, workers.WithGreedy())
	}
	if w.name != "" {
		dir, err := w.nameDir()
		if err != nil {
			return nil, err
		}
		opts = append(opts, workers.WithName(w.name, dir))
	}
	if w.only != "" {
		opts = append(opts, workers.WithOnly(w.only))
	}
	if w.once {
		opts = append(opts, workers.WithOnce(w.retries))
	}
	if w.persistent {
		opts = append(opts, workers.WithPersistent())
	}
	if w.NoCreate {
		opts = append(opts, workers.WithoutCreate())
	}

	return opts, nil
}

// defaultPool is the name of the pool of workers whose list is not that of --tasks. It is that of package workers.
const defaultPool = "workers"

// pool returns the name of the pool; empty: the default. Workers with different prefixes are different pools, so that
// they do not report each other's tasks.
func (c *config) pool() string {
	switch {
	case c.poolName != "":
		return c.poolName
	case c.listFile != "", c.listCommand != "", len(c.named) > 0, len(c.prefix) > maxWorkerName:
		return ""
	}

	return c.prefix
}

// longestPause is the longest delay before a task runs again.
const longestPause = time.Minute

// program names what the worker runs, for other people.
func (w *worker) program() string {
	if w.argv == nil {
		return "workers"
	}

	return w.argv[0]
}

// nameDir returns the directory for the session of a worker with a name.
func (w *worker) nameDir() (string, error) {
	dir := w.Dir
	if !w.Embedded() {
		choice, err := embedded.StateDir(w.env.LookupEnv)
		if err != nil {
			return "", fmt.Errorf("%s=%q: cannot remember the session: %w", cli.Setting(w.cmd, "name"), w.name, err)
		}
		dir = choice.Dir
	}
	hash := sha256.Sum256([]byte(w.ServerID()))

	return filepath.Join(dir, "workers", hex.EncodeToString(hash[:8])), nil
}

// listFailed lists the tasks that have failed for good.
func (w *worker) listFailed(names []string) {
	if w.events != nil {
		return // the event "finished" has listed them
	}
	for i, name := range names {
		if i == maxFailed {
			w.complain(fmt.Errorf("... and %d more", len(names)-i))

			return
		}
		text := fmt.Sprintf("task %q has failed for good", name)
		if reason := w.state.reason(name); reason != "" {
			text += ": " + reason
		}
		w.complain(errors.New(text))
	}
}

// maxFailed is how many tasks that have failed are listed.
const maxFailed = 1000

// tasks returns a number of tasks for a message.
func tasks(n int) string { return printable.Count(n, "task", "tasks") }
