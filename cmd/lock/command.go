package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/command"
	"tenure/lock"
)

// A locker is one run of the command.
type locker struct {
	cli.Session

	env       *cli.Env
	semaphore string
	grace     time.Duration
	signal    string
	command   *command.Command // nil: none was given
	lost      bool             // the lock, since it was acquired
}

// Of -grace, as shares of -timeout; package lock says why a third.
const (
	graceShare    = 4
	maxGraceShare = 3

	graceUnset = -1 // 0 is a grace too
)

func build(env *cli.Env) *cobra.Command {
	l := &locker{env: env, grace: graceUnset, signal: "TERM"}
	cmd := &cobra.Command{
		Use: "lock [flags] [NAME] [-- COMMAND [ARG...]]",
		Example: `lock deploy -- ./deploy.sh
			lock --timeout 1m nightly -- sh -c 'backup --fence "$TENURE_TOKEN" | gzip > backup.gz'
			lock -ydb grpc://localhost:2136/local nightly`,
		Long: `lock waits for the lock NAME and runs COMMAND while it holds it: of all who want NAME, on this machine or on
all that share a server, one runs at a time, and the others wait in a queue. Without COMMAND, lock holds the lock
and shows what happens, until it is interrupted; when it has lost the lock, it waits for it again.

Without -ydb there is nothing to install: the processes of this machine share a server that one of them hosts.
Credentials come from the variables YDB_*, as ydb-go-sdk-auth-environ reads them.

COMMAND is stopped when the server does not answer for so long that others can have the lock soon: it gets --signal,
and KILL when --grace is over, before they can. An interrupt of lock is passed on to it, with KILL after --grace or
at a second interrupt. This reaches all that COMMAND has started, unless that has left its process group. What goes
on in the background when COMMAND has ended by itself is left alone, and has no lock.

COMMAND finds in its environment: TENURE_TOKEN, a number that grows with every grant (give it to what is written to,
and let that refuse a lower one than it has seen), TENURE_SEMAPHORE, TENURE_SESSION_ID and TENURE_NODE. Beside
TENURE_TOKEN, TENURE_SEMAPHORE only tells what lock itself runs under. Else it is a NAME where none is given.

Exit code: COMMAND's; 128+n when signal n has ended it, or lock before COMMAND was run; 123 when the lock was lost
and COMMAND stopped; 125 when lock itself failed; 126 when COMMAND cannot run; 127 when there is none.
Without COMMAND 0 after an interrupt.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := l.check(cmd, args); err != nil {
				return err
			}
			if l.command != nil {
				return l.run(cmd.Context())
			}

			return l.show(cmd.Context())
		},
	}
	cli.AddFlags(cmd, l.Flags()...)
	cli.AddFlags(
		cmd,
		cli.Flag{Name: "semaphore", Arg: "NAME", Usage: "the same as the argument NAME", Value: &l.semaphore},
		cli.Flag{
			Name: "grace", Arg: "D", Value: &l.grace,
			Usage: "time from --signal to KILL, at most a third of the timeout (default a quarter)",
		},
		cli.Flag{Name: "signal", Arg: "SIG", Value: &l.signal, Usage: "what asks COMMAND to stop"},
	)
	cmd.Flags().Lookup("grace").DefValue = "" // it is in the text

	return cmd
}

// check looks at the command line.
func (l *locker) check(cmd *cobra.Command, args []string) error {
	var argv []string
	example := "lock nightly"
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		args, argv = args[:dash], args[dash:]
		if len(argv) == 0 {
			return errors.New("there is no COMMAND behind --: write e.g. lock nightly -- ./backup.sh")
		}
		example += " -- " + argv[0]
	}
	if err := l.checkName(cmd.Flags().Changed("semaphore"), args, example); err != nil {
		return err
	}
	if err := l.Check(); err != nil || argv == nil {
		return err
	}

	return l.checkCommand(argv)
}

// checkName finds out which lock is meant.
func (l *locker) checkName(flagged bool, args []string, example string) error {
	if len(args) > 1 {
		return fmt.Errorf("argument %q is one too many: see lock --help", args[1])
	}
	if _, under := l.env.LookupEnv("TENURE_TOKEN"); under && !flagged {
		l.semaphore = "" // the variable is not for us: it names the lock that we run under
	}
	if len(args) == 1 {
		if flagged && l.semaphore != "" && l.semaphore != args[0] {
			return fmt.Errorf("-semaphore=%q and the argument %q name two locks: leave one out", l.semaphore, args[0])
		}
		l.semaphore = args[0]
	}
	if l.semaphore == "" {
		return fmt.Errorf("-semaphore is empty: name the lock, e.g. %s", example)
	}

	return nil
}

// checkCommand finds COMMAND and how it is to be stopped.
func (l *locker) checkCommand(argv []string) error {
	sig, err := command.ParseSignal(l.signal)
	if err != nil {
		return fmt.Errorf("-signal=%w", err)
	}
	if l.grace == graceUnset {
		l.grace = l.Timeout / graceShare
	}
	if l.grace < 0 || l.grace > l.Timeout/maxGraceShare {
		return fmt.Errorf("-grace=%v is not within 0s and a third of -timeout=%v: others can have the lock by then",
			l.grace, l.Timeout)
	}
	path, err := command.Look(argv[0])
	if err != nil {
		return err
	}
	l.command = &command.Command{
		Path: path, Argv: argv, Stdin: l.env.Stdin, Stdout: l.env.Stdout, Stderr: l.env.Stderr,
		Signal: sig, Grace: l.grace, Warn: l.complain,
	}

	return nil
}

func (l *locker) options() []lock.Option {
	opts := []lock.Option{
		lock.WithTimeout(l.Timeout),
		lock.WithData(cli.Self(l.env)),
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

func (l *locker) observe(e lock.Event) {
	switch e := e.(type) {
	case lock.Waiting:
		l.say("waiting for a lock...")
	case lock.Acquired:
		l.lost = false
		l.say("the lock is acquired")
	case lock.Released:
		switch {
		case e.Err == nil:
			l.say("the lock is released")
		case !l.lost: // else nobody thinks so
			l.complain(fmt.Errorf("the server may not know that the lock is free (%w): others wait for up to %v",
				e.Err, l.Timeout))
		}
	case lock.Lost:
		l.lost = true
		if l.command != nil {
			e.Cause = fmt.Errorf("%w: stopping COMMAND", e.Cause)
		}
		l.complain(e.Cause)
	case lock.Retry:
		if !errors.Is(e.Err, lock.ErrLost) { // said by Lost
			l.complain(fmt.Errorf("%w: trying again", e.Err))
		}
	}
}

// say prints a line on stdout, unless that is COMMAND's.
func (l *locker) say(line string) {
	if l.command == nil {
		fmt.Fprintln(l.env.Stdout, line)
	}
}

func (l *locker) notice(line string) { l.complain(errors.New(line)) }

func (l *locker) complain(err error) { cli.Complain(l.env, "lock", err) }
