package workerscmd

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/ancestry"
	"tenure/internal/cli"
	"tenure/internal/tasklist"
)

// Groups of flags in the help.
const (
	groupTasks   = "Tasks"
	groupBalance = "Balance"
	groupRunning = "Running"
)

// Values of --assign.
const (
	assignGreedy   = "greedy"
	assignBalanced = "balanced"
)

// A config holds the values of the flags, except those of cli.Session.
type config struct {
	tasks       int
	prefix      string
	named       []string // of --task
	listFile    string
	listCommand string
	refresh     time.Duration
	capacity    int
	only        string
	poolName    string

	assign string        // empty: not given
	settle time.Duration // without --settle: --timeout
	moves  int
	name   string

	grace       time.Duration
	stopTimeout time.Duration // without --stop-timeout: --drain
	signal      string
	drain       time.Duration
	backoff     time.Duration
	giveUp      int
	aliveWithin time.Duration // 0: no limit
	once        bool
	retries     int
	persistent  bool
	raw         bool
	shell       bool

	status    bool
	watch     bool
	output    string
	quiet     bool
	logFormat string
	metrics   string
}

func newConfig() config {
	return config{
		tasks: 10, prefix: "job-", refresh: time.Minute, capacity: 4, moves: 1,
		signal: "TERM", drain: 30 * time.Second, backoff: time.Second, giveUp: 3, retries: 3,
		output: "text", logFormat: "text",
	}
}

// flags returns the rows of the command's own flags.
func (c *config) flags(env *cli.Env, session *cli.Session, cmd *cobra.Command) []cli.Flag {
	return slices.Concat(c.taskFlags(env), c.balanceFlags(session, cmd), c.runningFlags(), c.lookingFlags())
}

func (c *config) taskFlags(env *cli.Env) []cli.Flag {
	return []cli.Flag{
		{
			Name: "tasks", Arg: "N", Example: "10", Value: &c.tasks, Group: groupTasks,
			Usage: "N tasks, named PREFIX0, PREFIX1, ...", Check: between(&c.tasks, 1, tasklist.MaxTasks),
		},
		{
			Name: "semaphore-prefix", Arg: "PREFIX", Example: "job-", Value: &c.prefix, Group: groupTasks,
			Usage: "with --tasks: beginning of the names",
		},
		{
			Name: "task", Arg: "NAME[=WEIGHT]", Example: "mail=2", Value: &c.named, Group: groupTasks,
			Usage: "a task and its weight, which is 1 by default; repeatable",
			IgnoreEnv: func() bool { // it names the task that this process works on
				_, one := env.LookupEnv("TENURE_TOKEN")
				_, several := env.LookupEnv(ancestry.Variable)

				return one || several
			},
		},
		{
			Name: "tasks-file", Arg: "FILE", Example: "tasks.txt", Value: &c.listFile, Group: groupTasks,
			Usage: "one NAME [WEIGHT] per line; read again on change and on HUP",
		},
		{
			Name: "tasks-command", Arg: "CMD", Example: "./list-partitions", Value: &c.listCommand, Group: groupTasks,
			Usage: "command for /bin/sh -c that prints such lines; run again on HUP",
		},
		{
			Name: "refresh", Arg: "D", Example: "1m", Value: &c.refresh, Group: groupTasks,
			Usage: "with --tasks-command: time between two runs (default 1m)", Check: atLeastASecond(&c.refresh),
		},
		{
			Name: "capacity", Arg: "C", Example: "4", Value: &c.capacity, Group: groupTasks,
			Usage: "sum of the weights that this process takes; 0: only watch", Check: func() error {
				if c.capacity < 0 {
					return errors.New("is out of range: must be 0 or more")
				}

				return nil
			},
		},
		{
			Name: "only", Arg: "PATTERN", Example: "mail-*", Value: &c.only, Group: groupTasks,
			Usage: "take only tasks whose names match; * does not match /",
			Check: func() error {
				if _, err := path.Match(c.only, ""); err != nil {
					return errors.New(`is not a pattern: write e.g. 'mail-*', and \[ for [`)
				}

				return nil
			},
		},
		{
			Name: "pool", Arg: "NAME", Example: "mail", Value: &c.poolName, Group: groupTasks,
			Usage: "name of the pool (default PREFIX with --tasks, otherwise workers)",
			Check: func() error { return checkName(c.poolName) },
			Default: func() (value, source string, err error) {
				return cmp.Or(c.pool(), defaultPool), "default", nil
			},
		},
	}
}

func (c *config) balanceFlags(session *cli.Session, cmd *cobra.Command) []cli.Flag {
	modes := []string{assignGreedy, assignBalanced}

	return []cli.Flag{
		{
			Name: "assign", Arg: "MODE", Example: assignBalanced, Values: modes, Value: &c.assign, Group: groupBalance,
			Usage: "greedy: take what is free; balanced: move tasks to where there is room (default balanced with a " +
				"COMMAND, otherwise greedy)",
			Check: func() error {
				if slices.Contains(modes, c.assign) {
					return nil
				}

				return fmt.Errorf("is not a mode: write %s", strings.Join(modes, " or "))
			},
			Default: func() (value, source string, err error) {
				return c.mode(cmd.ArgsLenAtDash() >= 0 || c.shell), "default", nil
			},
		},
		{
			Name: "settle", Arg: "D", Example: "10s", Value: &c.settle, Group: groupBalance,
			Usage: "wait D after the pool has changed before tasks move (default timeout)", Check: cli.NotNegative(&c.settle),
			Default: func() (value, source string, err error) { return session.Timeout.String(), "--timeout", nil },
		},
		{
			Name: "moves", Arg: "K", Example: "1", Value: &c.moves, Group: groupBalance,
			Usage: "at most K tasks of this process move at the same time", Check: between(&c.moves, 1, tasklist.MaxTasks),
		},
		{
			Name: "name", Arg: "ID", Example: "indexer-1", Value: &c.name, Group: groupBalance,
			Usage:   "stable name: a restart within the timeout keeps the tasks",
			Check:   func() error { return checkName(c.name) },
			Default: func() (value, source string, err error) { return "", "not given", nil },
		},
	}
}

func (c *config) lookingFlags() []cli.Flag {
	return append([]cli.Flag{
		{
			Name: "status", Value: &c.status, Group: cli.GroupLooking, Usage: "print the tasks and the workers, and exit",
		},
		{
			Name: "watch", Value: &c.watch, Group: cli.GroupLooking, Usage: "print them again and again, on a terminal in place",
		},
	}, cli.ReportFlags(&c.output, &c.quiet, &c.logFormat, &c.metrics)...)
}

// describe says what the flags of cli.Session mean for workers.
func describe(cmd *cobra.Command) {
	cli.Describe(cmd, "timeout", groupRunning, "session timeout: how long tasks of a crashed process stay taken")
}

// mode returns the value of --assign, or its default. Running says whether there is a COMMAND.
func (c *config) mode(running bool) string {
	switch {
	case c.assign != "":
		return c.assign
	case running:
		return assignBalanced
	}

	return assignGreedy
}

// between returns a check of a flag for a number.
func between(n *int, lowest, highest int) func() error {
	return func() error {
		if *n < lowest || *n > highest {
			return fmt.Errorf("is out of range: must be between %d and %d", lowest, highest)
		}

		return nil
	}
}

func atLeastASecond(d *time.Duration) func() error {
	return func() error {
		if *d < time.Second {
			return errors.New("is out of range: must be 1s or more")
		}

		return nil
	}
}

// maxWorkerName is the largest size of --name in bytes.
const maxWorkerName = 255

func checkName(name string) error {
	if err := tasklist.CheckName(name); err != nil {
		return fmt.Errorf("is not a name: %w", err)
	}
	if len(name) > maxWorkerName {
		return fmt.Errorf("has %d bytes: the limit is %d", len(name), maxWorkerName)
	}

	return nil
}
