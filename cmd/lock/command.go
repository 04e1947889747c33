package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/lock"
)

// A locker is one run of the command.
type locker struct {
	cli.Session

	env       *cli.Env
	semaphore string
}

func command(env *cli.Env) *cobra.Command {
	l := &locker{env: env}
	cmd := &cobra.Command{
		Use:     "lock [flags] [NAME]",
		Example: "lock nightly\nlock -ydb grpc://localhost:2136/local nightly",
		Long: `lock waits for the lock NAME, holds it and shows what happens, until it is interrupted: then it stops its work
and gives the lock back, and the next in the queue has it at once. When the lock is lost, since the server cannot
be reached, lock stops its work and waits for the lock again.

Without -ydb there is nothing to install: the processes of this machine share a server that one of them hosts.
Credentials come from the variables YDB_*, as ydb-go-sdk-auth-environ reads them.
Exit code: 0 after an interrupt, 125 when lock itself failed.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := l.check(cmd, args); err != nil {
				return err
			}

			return l.run(cmd.Context())
		},
	}
	cli.AddFlags(cmd, l.Flags()...)
	cli.AddFlags(cmd, cli.Flag{
		Name: "semaphore", Arg: "NAME", Usage: "the same as the argument NAME", Value: &l.semaphore,
	})

	return cmd
}

// check looks at the command line.
func (l *locker) check(cmd *cobra.Command, args []string) error {
	if cmd.ArgsLenAtDash() >= 0 {
		return errors.New("this version of lock does not run a COMMAND: leave out -- and what follows")
	}
	if len(args) > 1 {
		return fmt.Errorf("argument %q is one too many: see lock --help", args[1])
	}
	if len(args) == 1 {
		if l.semaphore != "" && l.semaphore != args[0] {
			return fmt.Errorf("-semaphore=%q and the argument %q name two locks: leave one out", l.semaphore, args[0])
		}
		l.semaphore = args[0]
	}
	if l.semaphore == "" {
		return errors.New("-semaphore is empty: name the lock, e.g. lock nightly")
	}

	return l.Check()
}

// run holds the lock until ctx ends, with visible work.
func (l *locker) run(ctx context.Context) error {
	client, err := l.Open(ctx, l.notice)
	if err == nil {
		err = lock.Run(ctx, client, l.Path, l.semaphore, l.work, l.options()...)
		client.Close(ctx)
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	l.say("exiting")

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

	return opts
}

func (l *locker) observe(e lock.Event) {
	switch e := e.(type) {
	case lock.Waiting:
		l.say("waiting for a lock...")
	case lock.Acquired:
		l.say("the lock is acquired")
	case lock.Released:
		if e.Err == nil {
			l.say("the lock is released")
		} else {
			l.complain(fmt.Errorf("the server may not know that the lock is free (%w): others wait for up to %v",
				e.Err, l.Timeout))
		}
	case lock.Lost:
		l.complain(e.Cause)
	case lock.Retry:
		if !errors.Is(e.Err, lock.ErrLost) { // said by Lost
			l.complain(fmt.Errorf("%w: trying again", e.Err))
		}
	}
}

// work is there to be seen.
func (l *locker) work(ctx context.Context) error {
	l.say("starting work")
	for clock.Pause(ctx, clock.Go(), time.Second) {
		l.say("work is in progress...")
	}
	l.say("suspending work")

	return nil
}

func (l *locker) say(line string) { fmt.Fprintln(l.env.Stdout, line) }

func (l *locker) notice(line string) { l.complain(errors.New(line)) }

func (l *locker) complain(err error) { cli.Complain(l.env, "lock", err) }
