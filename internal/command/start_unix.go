//go:build unix

package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/disposition"
	"tenure/internal/guard"
	"tenure/internal/watchman"
)

// start starts COMMAND. The error is a *cli.ExitError.
func (r *run) start() (err error) {
	fail := func(err error) error {
		return &cli.ExitError{Code: cli.ExitFailure, Err: fmt.Errorf("cannot run COMMAND: %w", err)}
	}
	if r.guard, err = r.guards.take(r.name()); err != nil {
		return fail(err)
	}
	defer func() {
		if err != nil {
			r.end()
		}
	}()
	r.stdio.pooled, r.stdio.heard = r.Pooled, r.Heard
	if err := r.stdio.open(r.Stdin, r.Stdout, r.Stderr); err != nil {
		return fail(err)
	}
	if r.State != nil {
		r.states.deliver, r.states.heard = r.State, r.Heard
		r.states.problem = r.problem
		if err := r.states.open(); err != nil {
			return fail(err)
		}
	}
	if r.deadline, err = newPipe(); err != nil {
		return fail(err)
	}
	var lifelines exec.Cmd
	if session, ok := r.lease.Session().(interface{ Inherit(cmd *exec.Cmd) }); ok {
		session.Inherit(&lifelines)
	}
	if !r.Pooled {
		r.terminal = openTerminal()
		r.terminal.lent = r.terminal.startsInForeground(r.stdio.in, r.stdio.out, r.stdio.err)
	}
	program := guard.Program{
		Path: r.Path, Argv: r.Argv, Env: environment(r.Env), Ignored: disposition.Ignored(),
		Stands: r.Stands, Foreground: r.terminal.lent, NoTerminal: r.Pooled, Task: r.Task,
	}
	if r.Stands != 0 {
		if r.stands, err = watchman.Watch(r.Stands); err != nil {
			return fail(fmt.Errorf("process %d: %w", r.Stands, err))
		}
	}
	r.announce()
	guarded := r.guarded()
	if err := r.joinBarrier(guarded); err != nil {
		return fail(err)
	}
	r.pid, err = r.guard.Run(program, guard.Files{
		Stdin: r.stdio.in, Stdout: r.stdio.out, Stderr: r.stdio.err, Pipe: r.deadline.reader, State: r.states.theirs,
		Barrier: r.barrier, Lifelines: append(lifelines.ExtraFiles, r.Lifelines...),
	}, guarded, r.renew)
	r.stdio.started()
	r.states.started()
	r.deadline.started()
	if errors.Is(err, guard.ErrLate) {
		return &cli.ExitError{Code: ExitLost, Err: errors.New("COMMAND was not started, because the lease has ended")}
	}
	if err != nil {
		if _, refused := errors.AsType[syscall.Errno](err); !refused {
			return fail(err)
		}
		if _, missing := os.Stat(r.Path); errors.Is(missing, os.ErrNotExist) {
			return notFound(r.Path, "check its path")
		}

		return unusable(r.Path, err)
	}
	r.exited = watchman.EndOf(r.pid)
	r.observe(Started{r.pid})

	return nil
}

// environment returns the environment of COMMAND. The additions replace variables of this process, which may itself run
// under a lock.
func environment(additions []string) []string {
	replaced := map[string]bool{"TENURE_FD": true}
	for _, v := range additions {
		name, _, _ := strings.Cut(v, "=")
		replaced[name] = true
	}

	return append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")

		return replaced[name]
	}), additions...)
}

// guarded returns what the guard must know about the lease.
func (r *run) guarded() *guard.Lease {
	if r.session == nil {
		return nil
	}
	l := &guard.Lease{
		Deadline: r.system(r.told), Path: r.session.Node(), Session: r.session.SessionID(), Key: r.session.Key(),
		Timeout: r.session.Timeout(),
	}
	if r.DSN != embedded {
		l.DSN, l.Auth = r.DSN, r.Auth
	}

	return l
}

// renew tells COMMAND and the guard the deadline of the lease, and returns a channel that is closed when it has a newer
// one. It is called from the moment when the guard has got the request to start COMMAND.
func (r *run) renew() <-chan struct{} {
	r.guarding = true
	renewed := r.renewed() // before the deadline is read, so that no renewal is missed
	r.announce()

	return renewed
}

// renewed returns a channel that is closed when the lease is renewed, or nil if the lease does not say that.
func (r *run) renewed() <-chan struct{} {
	if l, ok := r.lease.(interface{ Renewed() <-chan struct{} }); ok && r.lease.Context().Err() == nil {
		return l.Renewed()
	}

	return nil
}

const embedded = "embedded" // the DSN of the embedded server

// system converts an instant of the lease's clock to one of the system's clock, or to an earlier one.
func (r *run) system(i clock.Instant) clock.Instant {
	if i == 0 {
		return 0
	}
	now := clock.System().Now() // read first: a delay makes the result earlier

	return now.Add(i.Sub(r.clock.Now()))
}

// announce tells COMMAND and the guard, if there is one, the deadline of the lease.
func (r *run) announce() {
	if r.session == nil {
		return
	}
	deadline := r.session.Deadline()
	if deadline == 0 || deadline == r.told {
		return
	}
	r.told = deadline
	if r.guarding {
		r.guard.Extend(r.system(deadline))
	}
	r.deadline.say(r.clock.Time(deadline).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}
