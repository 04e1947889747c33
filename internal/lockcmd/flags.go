package lockcmd

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/ancestry"
	"tenure/internal/cli"
	"tenure/internal/command"
)

// groupWaiting is a group of flags in the help.
const groupWaiting = "Waiting"

// workerVariable is set in the environment of a COMMAND of workers.
const workerVariable = "TENURE_WORKER"

// Values of --restart.
const (
	restartNever     = "never"
	restartOnFailure = "on-failure"
	restartAlways    = "always"
)

// A config holds the values of the flags, except those of cli.Session.
type config struct {
	names []string

	noWait       bool
	wait         time.Duration // 0: --no-wait; without --wait: negative
	conflictCode int
	shared       bool
	exclusive    bool
	limit, count uint64

	grace       time.Duration
	stopTimeout time.Duration // 0: no limit
	signal      string
	minHold     time.Duration
	maxHold     time.Duration // 0: no limit
	once        string
	restart     string
	backoff     time.Duration
	data        string
	stateFile   stateFile
	pid         int // 0: not given
	release     bool
	shell       bool

	status    bool
	output    string
	quiet     bool
	logFormat string
	metrics   string
}

func newConfig() config {
	return config{
		wait: -1, conflictCode: exitBusy, count: 1, signal: "TERM", restart: restartNever, backoff: time.Second,
		output: "text", logFormat: "text",
	}
}

// flags returns the rows of the command's own flags.
func (c *config) flags(env *cli.Env, cmd *cobra.Command) []cli.Flag {
	return append(append(c.waitingFlags(env, cmd), c.holdingFlags(env)...), c.lookingFlags()...)
}

func (c *config) waitingFlags(env *cli.Env, cmd *cobra.Command) []cli.Flag {
	return []cli.Flag{
		{
			Name: "semaphore", Arg: "NAME", Usage: "the same as the argument NAME; repeatable", Value: &c.names,
			Group: groupWaiting,
			Default: func() (value, source string, err error) {
				if cmd.Flags().NArg() == 0 || cmd.ArgsLenAtDash() == 0 {
					return "", "not given", nil
				}

				return cmd.Flags().Arg(0), "argument", nil
			},
			IgnoreEnv: func() bool { // it names the lock that this process runs under
				_, one := env.LookupEnv("TENURE_TOKEN")
				_, several := env.LookupEnv(ancestry.Variable)

				return one || several
			},
		},
		{
			Name: "no-wait", Short: "n", Aliases: []string{"nonblock"}, Value: &c.noWait, Group: groupWaiting,
			Usage: "give up immediately if the lock is taken",
		},
		{
			Name: "wait", Short: "w", Arg: "D", Example: "10m", Value: &c.wait, Group: groupWaiting,
			Usage: "give up after D (default: never; 0 is --no-wait)", Check: cli.NotNegative(&c.wait),
			Default: func() (value, source string, err error) { return "", "no limit", nil },
		},
		{
			Name: "conflict-exit-code", Short: "E", Arg: "N", Example: "124", Value: &c.conflictCode, Group: groupWaiting,
			Usage: "exit code for giving up", Check: func() error {
				switch n := c.conflictCode; {
				case n < 1 || n > 255, n == command.ExitLost, n >= cli.ExitFailure && n <= command.ExitNotFound:
					return errors.New("is out of range: must be between 1 and 255, and not 123, 125, 126 or 127")
				}

				return nil
			},
		},
		{
			Name: "shared", Short: "s", Value: &c.shared, Group: groupWaiting,
			Usage: "share the lock with other --shared holders",
		},
		{
			Name: "exclusive", Short: "x", Value: &c.exclusive, Group: groupWaiting,
			Usage: "hold the lock alone (the default)",
		},
		{
			Name: "limit", Arg: "N", Example: "4", Value: &c.limit, Group: groupWaiting,
			Usage:   "a semaphore with N slots (every user must give the same N)",
			Default: func() (value, source string, err error) { return "", "not given", nil },
			Check:   cli.AtLeastOne(&c.limit),
		},
		{
			Name: "count", Arg: "K", Example: "1", Value: &c.count, Group: groupWaiting,
			Usage: "with --limit: how many slots to take",
			Check: func() error {
				switch {
				case c.limit == 0:
					return errors.New("needs --limit: write e.g. --limit 4 --count 2")
				case c.count < 1 || c.count > c.limit:
					return fmt.Errorf("is out of range: must be between 1 and --limit=%d", c.limit)
				}

				return nil
			},
		},
	}
}

func (c *config) holdingFlags(env *cli.Env) []cli.Flag {
	none := func() (value, source string, err error) { return "", "no limit", nil }

	return []cli.Flag{
		{
			Name: "grace", Arg: "D", Example: "2s", Value: &c.grace, Group: cli.GroupHolding,
			Usage: "in danger: time from --signal to KILL, before the deadline (default timeout/4)",
			Default: func() (value, source string, err error) {
				return c.grace.String(), "a quarter of --timeout", nil
			},
		},
		{
			Name: "stop-timeout", Arg: "D", Example: "30s", Value: &c.stopTimeout, Group: cli.GroupHolding, Default: none,
			Usage: "told to stop: time from the signal to KILL (default: no limit)",
			Check: cli.Positive(&c.stopTimeout),
		},
		{
			Name: "signal", Arg: "SIG", Example: "TERM", Value: &c.signal, Group: cli.GroupHolding,
			Usage: "signal that asks COMMAND to stop",
		},
		{
			Name: "min-hold", Arg: "D", Example: "1m", Value: &c.minHold, Group: cli.GroupHolding,
			Usage: "keep the lock for at least D after the grant", Check: cli.NotNegative(&c.minHold),
		},
		{
			Name: "max-hold", Arg: "D", Example: "1h", Value: &c.maxHold, Group: cli.GroupHolding, Default: none,
			Usage: "stop COMMAND D after the grant (default: no limit)", Check: cli.Positive(&c.maxHold),
		},
		{
			Name: "once", Arg: "KEY", Example: "2026-03-01", Value: &c.once, Group: cli.GroupHolding,
			Usage: "run COMMAND at most once per KEY on all machines",
			Check: func() error {
				if len(c.once) > maxKey {
					return fmt.Errorf("has %d bytes: the limit is %d", len(c.once), maxKey)
				}

				return nil
			},
		},
		{
			Name: "restart", Arg: "WHEN", Example: "always", Values: []string{restartNever, restartOnFailure, restartAlways},
			Value: &c.restart, Group: cli.GroupHolding,
			Usage: "queue again after COMMAND: never, on-failure or always",
			Check: c.checkRestart,
		},
		{
			Name: "backoff", Arg: "D", Example: "1s", Value: &c.backoff, Group: cli.GroupHolding,
			Usage: "first delay before a restart; doubles up to 1m", Check: cli.Positive(&c.backoff),
		},
		{
			Name: "data", Arg: "TEXT", Example: "release-7", Value: &c.data, Group: cli.GroupHolding,
			Usage:   "what others see (default: user@host, pid and COMMAND)",
			Default: func() (value, source string, err error) { return "", "user@host, pid and COMMAND", nil },
		},
		{
			Name: "state-file", Arg: "FILE", Example: "/run/deploy.lock", Group: cli.GroupHolding,
			Value: (*string)(&c.stateFile),
			Usage: "exists, with token and deadline, only while the lock is held", IgnoreEnv: inTask(env),
		},
		{
			Name: "pid", Arg: "PID", Example: "$$", Value: &c.pid, Group: cli.GroupHolding,
			Usage:   "no COMMAND: hold the lock in the background until PID ends",
			Default: func() (value, source string, err error) { return "", "not given", nil },
			Check: func() error {
				if c.pid < 2 {
					return errors.New("is not the id of a process that can end: write e.g. --pid $$")
				}

				return nil
			},
		},
		{
			Name: "release", Value: &c.release, Group: cli.GroupHolding,
			Usage: "end the --pid holder of NAME",
		},
		{
			Name: "shell", Short: "c", Value: &c.shell, Group: cli.GroupHolding, Usage: "COMMAND is one string for /bin/sh -c",
		},
	}
}

func (c *config) lookingFlags() []cli.Flag {
	return append([]cli.Flag{
		{
			Name: "status", Value: &c.status, Group: cli.GroupLooking,
			Usage: "print the holders and the waiters; exit 0 if held, 1 if free",
		},
	}, cli.ReportFlags(&c.output, &c.quiet, &c.logFormat, &c.metrics)...)
}

// inTask returns a function that reports whether this process works on a task of workers. The variable of --state-file
// then names the file with the state of the task.
func inTask(env *cli.Env) func() bool {
	return func() bool {
		_, task := env.LookupEnv(workerVariable)

		return task
	}
}

func (c *config) checkRestart() error {
	switch c.restart {
	case restartNever, restartOnFailure, restartAlways:
		return nil
	}

	return errors.New("must be never, on-failure or always")
}
