package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/command"
	"tenure/internal/identity"
	"tenure/internal/shell"
	"tenure/lock"
)

// A locker is one run of the command.
type locker struct {
	cli.Session

	env       *cli.Env
	cmd       *cobra.Command
	semaphore string
	shell     bool
	grace     time.Duration
	signal    string
	command   *command.Command // nil: hold the lock and print events

	monitor *cli.Monitor
	danger  bool // the lock was in danger since it was acquired
}

// Shares of --timeout that --grace has by default and at most. Package lock documents the reason for the maximum.
const (
	graceShare    = 4
	maxGraceShare = 3
)

func build(env *cli.Env) *cobra.Command {
	l := &locker{env: env, signal: "TERM"}
	cmd := &cobra.Command{
		Use: "lock [flags] NAME [-- COMMAND [ARG...]]",
		Example: `lock deploy -- ./deploy.sh
			lock nightly --shell 'backup --fence "$TENURE_TOKEN" | gzip > backup.gz'
			lock --ydb grpc://localhost:2136/local --timeout 1m deploy -- ./deploy.sh`,
		Long: `lock waits for the lock NAME and runs COMMAND while it holds it. Only one process holds NAME at a time,
among all processes that use the same server. The others wait in a queue. Without COMMAND, lock holds the lock and
prints events until it is interrupted. If it loses the lock, it waits for it again.

` + cli.ServerHelp + `

` + cli.DirHelp + `

When COMMAND is stopped:
  If the server stops answering, lock stops COMMAND before the lock can go to someone else. It sends --signal, and
  KILL when --grace is over. If lock itself is interrupted, it passes the signal on to COMMAND, and sends KILL after
  --grace or at a second interrupt. Signals go to COMMAND's whole process group. Background processes that outlive
  COMMAND keep running, without the lock.

Environment of COMMAND:
  TENURE_TOKEN is a number that grows with every grant. Send it with each write, and have the storage reject a write
  whose token is lower than one it has seen. TENURE_SEMAPHORE is NAME. TENURE_SESSION_ID and TENURE_NODE name the
  session and its coordination node.
  A lock that runs inside COMMAND needs a NAME of its own: it ignores TENURE_SEMAPHORE if TENURE_TOKEN is set.

Exit code:
  COMMAND's own; 128+n if signal n ended it, or ended lock before COMMAND ran; 123 if the lock was lost and COMMAND
  was stopped; 125 if lock itself failed; 126 if COMMAND cannot run; 127 if COMMAND is not found.
  Without COMMAND: 0 after an interrupt.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := l.check(args); err != nil {
				return err
			}
			l.monitor = l.NewMonitor()
			defer l.monitor.Close()
			if l.command != nil {
				return l.run(cmd.Context())
			}

			return l.show(cmd.Context())
		},
	}
	l.cmd = cmd
	cli.TakesCommand(cmd)
	l.AddFlags(cmd, env)
	cli.AddFlags(
		cmd,
		cli.Flag{
			Name: "semaphore", Arg: "NAME", Usage: "the same as the argument NAME", Value: &l.semaphore,
			Default: func() (value, source string, err error) {
				if cmd.Flags().NArg() == 0 || cmd.ArgsLenAtDash() == 0 {
					return "", "not given", nil
				}

				return cmd.Flags().Arg(0), "argument", nil
			},
			IgnoreEnv: func() bool { // it names the lock that this process runs under
				_, under := env.LookupEnv("TENURE_TOKEN")

				return under
			},
		},
		cli.Flag{Name: "shell", Short: "c", Usage: "COMMAND is one string for /bin/sh -c", Value: &l.shell},
		cli.Flag{
			Name: "grace", Arg: "D", Example: "2s", Value: &l.grace,
			Usage: "time from --signal to KILL, at most a third of --timeout (default a quarter)",
			Default: func() (value, source string, err error) {
				return (l.Timeout / graceShare).String(), "a quarter of --timeout", nil
			},
		},
		cli.Flag{
			Name: "signal", Arg: "SIG", Example: "TERM", Value: &l.signal, Usage: "signal that asks COMMAND to stop",
		},
	)

	return cmd
}

// check checks the command line.
func (l *locker) check(args []string) error {
	names, argv, err := l.split(args)
	if err != nil {
		return err
	}
	if err := l.checkName(names, argv); err != nil {
		return err
	}
	if err := l.Check(); err != nil || argv == nil {
		return err
	}

	return l.checkCommand(argv)
}

// split returns the arguments before COMMAND, and COMMAND; nil if there is none.
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

// checkName finds out which lock to take.
func (l *locker) checkName(names, argv []string) error {
	switch {
	case len(names) > 1:
		return cli.Unexpected(l.env, l.cmd, names[1])
	case len(names) == 1 && names[0] == "":
		return errors.New("NAME is empty: name the lock, e.g. lock nightly -- ./backup.sh")
	case len(names) == 1 && cli.OnLine(l.cmd, "semaphore") && names[0] != l.semaphore:
		return fmt.Errorf("--semaphore=%q and the argument %q name two locks: leave one out", l.semaphore, names[0])
	case len(names) == 1:
		l.semaphore = names[0]
	}
	switch {
	case l.semaphore != "":
		return nil
	case argv != nil && l.shell:
		return fmt.Errorf("NAME is missing: name the lock, e.g. lock nightly --shell %s", shell.Quote(argv[0]))
	case argv != nil:
		return fmt.Errorf("NAME is missing: name the lock before --, e.g. lock nightly -- %s", shell.Join(argv...))
	}

	return errors.New("NAME is missing: name the lock, e.g. lock nightly -- ./backup.sh")
}

// checkCommand finds COMMAND and decides how to stop it.
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
	path, err := command.Look(argv[0])
	if err != nil {
		return err
	}
	stdout, stderr := l.env.Inherited()
	l.command = &command.Command{
		Path: path, Argv: argv, Stdin: l.env.Stdin, Stdout: stdout, Stderr: stderr,
		Signal: sig, Grace: l.grace, Warn: l.complain,
	}

	return nil
}

func (l *locker) options() []lock.Option {
	opts := []lock.Option{
		lock.WithTimeout(l.Timeout),
		lock.WithData([]byte(l.identity())),
		lock.WithDescription("lock"),
		lock.WithObserver(l.observe),
	}
	if l.NoCreate {
		opts = append(opts, lock.WithoutCreate())
	}
	if l.command != nil {
		opts = append(opts, lock.WithGrace(l.grace))
	}

	return opts
}

// identity describes the holder to others who look at the lock.
func (l *locker) identity() string {
	if l.command == nil {
		return identity.Of("lock")
	}

	return identity.Of(l.command.Argv[0])
}

func (l *locker) observe(e lock.Event) {
	switch e := e.(type) {
	case lock.Waiting:
		if len(e.Holders) > 0 {
			return
		}
		l.monitor.Opened(fmt.Sprintf("waiting for %q on %s", l.semaphore, l.Place()))
		l.say("waiting for a lock...")
	case lock.Acquired:
		l.monitor.Granted()
		l.danger = false
		l.say("the lock is acquired")
	case lock.Released:
		switch {
		case e.Err == nil:
			l.say("the lock is released")
		case !l.danger: // Danger has said so
			l.complain(fmt.Errorf("the lock may stay locked for up to %v, because the server did not confirm its release: %w",
				l.Timeout, e.Err))
		}
	case lock.Danger:
		l.danger = true
		l.warn(e.Cause)
	case lock.Lost:
		if !l.danger {
			l.warn(e.Cause)
		}
	case lock.NoSession:
		l.monitor.NoSession(e.For, e.Err)
	case lock.Retry:
		if errors.Is(e.Err, lock.ErrLost) { // Lost has reported it if the lock was held
			e.Err = nil
		}
		l.monitor.Failed(e.Err)
	}
}

// warn says that COMMAND is stopped, if there is one, and why.
func (l *locker) warn(cause error) {
	if l.command != nil {
		cause = fmt.Errorf("%w: stopping COMMAND", cause)
	}
	l.complain(cause)
}

// say prints a line on stdout, unless stdout belongs to COMMAND.
func (l *locker) say(line string) {
	if l.command == nil {
		fmt.Fprintln(l.env.Stdout, line)
	}
}

func (l *locker) complain(err error) { cli.Complain(l.env, "lock", err) }
