package workerscmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tenure/internal/ancestry"
	"tenure/internal/cli"
	"tenure/internal/command"
	"tenure/internal/shell"
)

// placeholder stands for the name of the task in the arguments of COMMAND.
const placeholder = "{task}"

// Shares of --timeout that --grace has by default and at most. Package lock documents the reason for the maximum.
const (
	graceShare    = 4
	maxGraceShare = 3
)

// check checks the command line, and completes the values of the flags that are not given.
func (w *worker) check(args []string) (err error) {
	if w.argv, err = w.split(args); err != nil {
		return err
	}
	if err := w.checkTogether(); err != nil {
		return err
	}
	if err := w.Check(); err != nil {
		return err
	}
	w.assign = w.mode(w.argv != nil)
	if !cli.Given(w.cmd, "settle") {
		w.settle = w.Timeout
	}
	if !cli.Given(w.cmd, "stop-timeout") {
		w.stopTimeout = w.drain
	}
	if w.argv == nil {
		return nil
	}
	if w.ancestors, err = ancestry.Read(w.env.LookupEnv); err != nil {
		return err
	}

	return w.checkCommand()
}

// split returns COMMAND, or nil if the command line has none.
func (w *worker) split(args []string) (argv []string, err error) {
	switch dash := w.cmd.ArgsLenAtDash(); {
	case dash > 0:
		return nil, fmt.Errorf("unexpected argument %q before --: see workers --help", args[0])
	case dash == 0, w.shell: // as with lock --shell, COMMAND needs no dashes
		argv = args
	case len(args) > 0:
		return nil, cli.Unexpected(w.env, w.cmd, args[0])
	default:
		return nil, nil
	}
	switch {
	case len(argv) == 0 && w.shell:
		err = errors.New(`COMMAND is missing: write e.g. workers --tasks 10 --shell './consume "$TENURE_TASK"'`)
	case len(argv) == 0:
		err = errors.New("COMMAND is missing after --: write e.g. workers --tasks 10 -- ./consume {task}")
	case argv[0] == "":
		err = errors.New("COMMAND is empty: write e.g. workers --tasks 10 -- ./consume {task}")
	case w.shell && len(argv) > 1:
		err = fmt.Errorf("COMMAND must be one argument with --shell: write --shell %s",
			shell.Quote(strings.Join(argv, " ")))
	case w.shell && strings.Contains(argv[0], placeholder): // the shell would interpret the name
		err = fmt.Errorf(`COMMAND contains %s, which --shell does not replace: write "$TENURE_TASK"`, placeholder)
	}

	return argv, err
}

// sources are the flags that say which tasks there are.
var sources = []string{"task", "tasks-file", "tasks-command", "tasks"}

// checkTogether refuses flags that contradict each other.
func (w *worker) checkTogether() error {
	given := func(flag string) bool { return cli.Given(w.cmd, flag) }
	contradict := func(a, b string) error {
		return fmt.Errorf("%s and %s contradict each other: leave one out", cli.Setting(w.cmd, a), cli.Setting(w.cmd, b))
	}
	listed := slices.DeleteFunc(slices.Clone(sources), func(flag string) bool { return !given(flag) })
	switch {
	case len(listed) > 1:
		return contradict(listed[0], listed[1])
	case cli.OnLine(w.cmd, "semaphore-prefix") && len(listed) == 1 && listed[0] != "tasks":
		return contradict(listed[0], "semaphore-prefix")
	case given("refresh") && !given("tasks-command"):
		return fmt.Errorf("%s needs --tasks-command: write e.g. --tasks-command ./list-partitions --refresh 1m",
			cli.Setting(w.cmd, "refresh"))
	case given("retries") && !w.once:
		return fmt.Errorf("%s needs --once", cli.Setting(w.cmd, "retries"))
	case w.moves > 1 && w.assign == assignGreedy:
		return contradict("moves", "assign")
	case w.once && w.capacity == 0:
		return contradict("once", "capacity")
	}

	return w.checkCommandFlags()
}

// checkCommandFlags refuses flags that have no meaning without a COMMAND, or with one.
func (w *worker) checkCommandFlags() error {
	if w.argv != nil {
		for _, flag := range []string{"status", "watch"} {
			if cli.Given(w.cmd, flag) && (w.status || w.watch) {
				return fmt.Errorf("%s runs no COMMAND: leave out -- and everything after it", cli.Setting(w.cmd, flag))
			}
		}

		return nil
	}
	for _, flag := range []string{"alive-within", "give-up", "once", "persistent", "raw"} {
		if cli.Given(w.cmd, flag) {
			return fmt.Errorf("%s needs a COMMAND: write e.g. workers --tasks 10 -- ./consume {task}",
				cli.Setting(w.cmd, flag))
		}
	}

	return nil
}

// checkCommand finds COMMAND and decides how to stop it.
func (w *worker) checkCommand() (err error) {
	if w.stopSignal, err = command.ParseSignal(w.signal); err != nil {
		return fmt.Errorf("%s=%w", cli.Setting(w.cmd, "signal"), err)
	}
	if !cli.Given(w.cmd, "grace") {
		w.grace = w.Timeout / graceShare
	}
	if longest := w.Timeout / maxGraceShare; w.grace < 0 || w.grace > longest {
		return fmt.Errorf("%s=%v is out of range: must be between 0s and %v, a third of %s=%v",
			cli.Setting(w.cmd, "grace"), w.grace, longest.Truncate(time.Millisecond), cli.Setting(w.cmd, "timeout"), w.Timeout)
	}
	if w.shell {
		w.argv = []string{"/bin/sh", "-c", w.argv[0]}
	}
	if strings.Contains(w.argv[0], placeholder) { // each task has its own program, which may not exist yet
		return nil
	}
	w.path, err = command.Look(w.argv[0])

	return err
}
