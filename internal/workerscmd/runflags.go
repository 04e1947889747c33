package workerscmd

import "tenure/internal/cli"

func (c *config) runningFlags() []cli.Flag {
	return []cli.Flag{
		{
			Name: "grace", Arg: "D", Example: "2s", Value: &c.grace, Group: groupRunning,
			Usage: "in danger: time from --signal to KILL, before the deadline (default timeout/4)",
			Default: func() (value, source string, err error) {
				return c.grace.String(), "a quarter of --timeout", nil
			},
		},
		{
			Name: "stop-timeout", Arg: "D", Example: "30s", Value: &c.stopTimeout, Group: groupRunning,
			Usage: "the task has to move or to end: time from the signal to KILL (default drain)",
			Check: cli.Positive(&c.stopTimeout),
			Default: func() (value, source string, err error) {
				return c.drain.String(), "--drain", nil
			},
		},
		{
			Name: "signal", Arg: "SIG", Example: "TERM", Value: &c.signal, Group: groupRunning,
			Usage: "signal that asks COMMAND to stop",
		},
		{
			Name: "drain", Arg: "D", Example: "30s", Value: &c.drain, Group: groupRunning,
			Usage: "told to stop: time that all tasks have to end", Check: cli.Positive(&c.drain),
		},
		{
			Name: "backoff", Arg: "D", Example: "1s", Value: &c.backoff, Group: groupRunning,
			Usage: "first delay before a task runs again; doubles up to 1m", Check: cli.Positive(&c.backoff),
		},
		{
			Name: "give-up", Arg: "K", Example: "3", Value: &c.giveUp, Group: groupRunning,
			Usage: "failures in a row after which a task is left to others for a while",
			Check: between(&c.giveUp, 1, maxRuns),
		},
		{
			Name: "alive-within", Arg: "D", Example: "5m", Value: &c.aliveWithin, Group: groupRunning,
			Usage: "a task that prints nothing for D has failed (default: no limit)", Check: cli.Positive(&c.aliveWithin),
			Default: func() (value, source string, err error) { return "", "no limit", nil },
		},
		{
			Name: "once", Value: &c.once, Group: groupRunning,
			Usage: "a task that exits 0 is done for everybody; exit when all are done",
		},
		{
			Name: "retries", Arg: "N", Example: "3", Value: &c.retries, Group: groupRunning,
			Usage: "with --once: how often a failed task is run again",
			Check: between(&c.retries, 0, maxRuns),
		},
		{
			Name: "persistent", Value: &c.persistent, Group: groupRunning,
			Usage: "keep what a task writes to descriptor 3 for its next run",
		},
		{
			Name: "raw", Value: &c.raw, Group: groupRunning, Usage: "print the output of the tasks without their names",
		},
		{
			Name: "shell", Short: "c", Value: &c.shell, Group: groupRunning, Usage: "COMMAND is one string for /bin/sh -c",
		},
	}
}

// maxRuns is the largest value of flags that count runs.
const maxRuns = 1_000_000
