package lockcmd

import (
	"context"
	"errors"

	"tenure/internal/ancestry"
	"tenure/internal/cli"
	"tenure/internal/command"
	"tenure/lock"
)

// under runs COMMAND under the lock.
func (l *locker) under(ctx context.Context, held *lock.Held) outcome {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(held.Context(), func() { cancel(context.Cause(held.Context())) })()
	if l.maxHold > 0 {
		limited, end := context.WithTimeoutCause(ctx, l.maxHold, command.ErrTimeIsUp)
		defer end()
		ctx = limited
	}
	l.command.Env = l.environment(held)
	err := l.command.Run(ctx, held.Lease())
	exit, failed := errors.AsType[*cli.ExitError](err)
	result := outcome{ran: failed || err == nil, err: err}
	if result.ran {
		code := 0
		if failed {
			code = exit.Code
		}
		l.report(event{Event: "exited", Code: &code}, l.verbosely("COMMAND has ended with exit code %d", code))
	}

	return result
}

// environment returns the variables that describe the lock to COMMAND.
func (l *locker) environment(held *lock.Held) []string {
	own := make([]ancestry.Hold, 0, len(l.names))
	for _, name := range l.names {
		own = append(own, ancestry.Hold{
			Server: l.ServerID(), Node: l.Path, Name: name, Session: held.SessionID(), Token: held.Tokens()[name],
		})
	}

	env := command.Environment(held.SessionID(), l.Path, held.Tokens())

	return append(env, ancestry.Variable+"="+ancestry.Text(l.ancestors, own))
}
