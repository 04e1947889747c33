// Package lockcmd is the program lock, which cmd/lock and cmd/tenure run.
package lockcmd

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/ancestry"
	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/command"
	"tenure/internal/shell"
)

// exitBusy is the default exit code if the lock was not acquired.
const exitBusy = 124

// A locker is one run of the command.
type locker struct {
	cli.Session
	config

	env     *cli.Env
	cmd     *cobra.Command
	command *command.Command // nil: there is no COMMAND

	clock     clock.Clock
	ancestors []ancestry.Hold
	monitor   *cli.Monitor
	stderr    io.Writer // for events; unlike env.Stderr, it takes lines of any format
	reporter  *reporter
	display   *display
	metered   *meter
	notifier  *notifier

	began       clock.Instant // when lock began to connect, or to queue again
	lastSession uint64        // the one that waits, or has waited
	endangered  bool          // the lease was in danger since the lock was acquired
	stateFailed bool          // the state file could not be written
	onGrant     func()        // called when the lock is held and COMMAND runs; may be nil
}

// Shares of --timeout that --grace has by default and at most. Package lock documents the reason for the maximum.
const (
	graceShare    = 4
	maxGraceShare = 3
)

// Command returns the command lock.
func Command(env *cli.Env) *cobra.Command {
	l := &locker{env: env, config: newConfig(), clock: clock.Go()}
	cmd := &cobra.Command{
		Use:     "lock [flags] NAME... -- COMMAND [ARG...]",
		Short:   "run a command while holding a lock",
		Example: examples,
		Long:    about,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			defer l.prepareLog()()
			if err := l.check(args); err != nil {
				return err
			}

			return l.start(cmd.Context())
		},
	}
	l.cmd = cmd
	cli.TakesCommand(cmd, 1)
	cli.Manual(cmd, manual)
	cli.Groups(cmd, cli.GroupWhere, groupWaiting, cli.GroupHolding, cli.GroupLooking)
	l.AddFlags(cmd, env)
	l.CompleteNames(nil)
	cli.AddFlags(cmd, l.flags(env, cmd)...)

	return cli.Program(cmd)
}

// check checks the command line.
func (l *locker) check(args []string) (err error) {
	names, argv, err := l.split(args)
	if err != nil {
		return err
	}
	if err := l.checkNames(names, argv); err != nil {
		return err
	}
	if err := l.checkTogether(argv); err != nil {
		return err
	}
	if l.ancestors, err = ancestry.Read(l.env.LookupEnv); err != nil {
		return err
	}
	if err := l.Check(); err != nil {
		return err
	}
	if argv == nil && l.pid == 0 {
		return nil
	}

	return l.checkCommand(argv)
}

// split returns the arguments before COMMAND, and COMMAND itself. The latter is nil if the command line has no COMMAND.
func (l *locker) split(args []string) (names, argv []string, err error) {
	switch dash := l.cmd.ArgsLenAtDash(); {
	case dash >= 0:
		names, argv = args[:dash], args[dash:]
	case l.shell && cli.OnLine(l.cmd, "semaphore"): // as with flock -c, COMMAND needs no dashes
		argv = args
	case l.shell && len(args) > 0:
		names, argv = args[:1], args[1:]
	case l.shell:
		argv = args
	default:
		return args, nil, nil
	}
	switch {
	case len(argv) == 0 && l.shell:
		err = errors.New("COMMAND is missing: write e.g. lock nightly --shell './backup.sh | gzip > backup.gz'")
	case len(argv) == 0:
		err = errors.New("COMMAND is missing after --: write e.g. lock nightly -- ./backup.sh")
	case argv[0] == "":
		err = errors.New("COMMAND is empty: write e.g. lock nightly -- ./backup.sh")
	case l.shell && len(argv) > 1:
		err = fmt.Errorf("COMMAND must be one argument with --shell: write --shell %s",
			shell.Quote(strings.Join(argv, " ")))
	}

	return names, argv, err
}

// checkNames finds out which locks to take, and sorts them.
func (l *locker) checkNames(names, argv []string) error {
	switch {
	case argv == nil && len(names) > 1:
		return cli.Unexpected(l.env, l.cmd, names[1])
	case slices.Contains(names, ""):
		return errors.New("NAME is empty: name the lock, e.g. lock nightly -- ./backup.sh")
	case argv == nil && len(names) == 1 && cli.OnLine(l.cmd, "semaphore") && !slices.Equal(l.names, names):
		return fmt.Errorf("--semaphore=%q and the argument %q name two locks: leave one out", l.names[0], names[0])
	case len(names) > 0 && cli.OnLine(l.cmd, "semaphore"):
		l.names = append(l.names, names...)
	case len(names) > 0:
		l.names = names
	}
	slices.Sort(l.names)
	l.names = slices.Compact(l.names)
	switch {
	case len(l.names) > 0:
		return nil
	case argv != nil && l.shell:
		return fmt.Errorf("NAME is missing: name the lock, e.g. lock nightly --shell %s", shell.Quote(argv[0]))
	case argv != nil:
		return fmt.Errorf("NAME is missing: name the lock before --, e.g. lock nightly -- %s", shell.Join(argv...))
	}

	return errors.New("NAME is missing: name the lock, e.g. lock nightly -- ./backup.sh")
}

// checkTogether refuses flags that contradict each other.
func (l *locker) checkTogether(argv []string) error {
	given := func(flag string) bool { return cli.Given(l.cmd, flag) }
	for _, pair := range []struct {
		wrong bool
		a, b  string
	}{
		{l.noWait && l.wait > 0, "no-wait", "wait"},
		{l.shared && l.exclusive, "shared", "exclusive"},
		{l.shared && l.limit > 0, "shared", "limit"},
		{l.exclusive && l.limit > 0, "exclusive", "limit"},
		{l.once != "" && l.restart == restartAlways, "once", "restart"},
		{l.status && l.pid != 0, "status", "pid"},
		{l.status && l.release, "status", "release"},
		{l.pid != 0 && l.shell, "pid", "shell"},
		{l.release && l.shell, "release", "shell"},
	} {
		if pair.wrong {
			return fmt.Errorf("%s and %s contradict each other: leave one out", cli.Setting(l.cmd, pair.a),
				cli.Setting(l.cmd, pair.b))
		}
	}
	switch {
	case l.once != "" && len(l.names) > 1:
		return fmt.Errorf("%s needs one NAME, which the record belongs to, and here are %d: leave the others out, or "+
			"nest two locks", cli.Setting(l.cmd, "once"), len(l.names))
	case argv == nil:
		for _, flag := range []string{"min-hold", "max-hold", "once", "restart"} {
			if given(flag) {
				return fmt.Errorf("%s needs a COMMAND: write e.g. lock %s -- ./backup.sh", cli.Setting(l.cmd, flag),
					shell.Join(l.names...))
			}
		}
	default:
		for flag, set := range map[string]bool{"status": l.status, "pid": l.pid != 0, "release": l.release} {
			if set {
				return fmt.Errorf("%s runs no COMMAND: leave out -- and everything after it", cli.Setting(l.cmd, flag))
			}
		}
	}
	if l.noWait {
		l.wait = 0
	}

	return nil
}

// checkCommand finds COMMAND and decides how to stop it. Without argv, the process of --pid is in COMMAND's place.
func (l *locker) checkCommand(argv []string) error {
	sig, err := command.ParseSignal(l.signal)
	if err != nil {
		return fmt.Errorf("%s=%w", cli.Setting(l.cmd, "signal"), err)
	}
	if !cli.Given(l.cmd, "grace") {
		l.grace = l.Timeout / graceShare
	}
	if longest := l.Timeout / maxGraceShare; l.grace < 0 || l.grace > longest {
		return fmt.Errorf("%s=%v is out of range: must be between 0s and %v, a third of %s=%v",
			cli.Setting(l.cmd, "grace"), l.grace, longest.Truncate(time.Millisecond), cli.Setting(l.cmd, "timeout"), l.Timeout)
	}
	if l.shell {
		argv = []string{"/bin/sh", "-c", argv[0]}
	}
	path := "" // with --pid, holdFor sets it
	if l.pid == 0 {
		if path, err = command.Look(argv[0]); err != nil {
			return err
		}
	}
	stdout, stderr := l.env.Inherited()
	l.command = &command.Command{
		Path: path, Argv: argv, Stdin: l.env.Stdin, Stdout: stdout, Stderr: stderr,
		Signal: sig, Grace: l.grace, StopTimeout: l.stopTimeout,
		Name: "lock " + strings.Join(l.names, " "), DSN: l.DSN, Auth: l.Auth, Observe: l.stopped,
	}

	return nil
}
