package lock

import (
	"context"
	"errors"
	"reflect"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/term"
)

// Observe calls f with the leader of an election ([Elect]), and again each time the leader or its data changes. It does
// not campaign. It calls f never concurrently, waits for it, and skips leaders if they change faster than once per
// second. While the server cannot be reached, the leader is unknown and f is not called.
//
// Observe returns the cause of the end of ctx ([context.Cause]), or a permanent error, as [Elect] does. It uses the
// options that concern the session and the observer.
func Observe(
	ctx context.Context, client coordination.Client, node, name string, f func(Leader), opts ...Option,
) error {
	l := newLocker(client, node, name, opts)
	if f == nil {
		return l.wrong(errors.New("the function is nil"))
	}
	if err := l.prepare(ctx); err != nil {
		return err
	}
	var last *Leader

	return l.opener.Repeat(ctx, func() error {
		t, err := l.opener.Open(ctx)
		if err != nil {
			return err
		}
		defer func() {
			farewell, cancel := term.Farewell(ctx)
			defer cancel()
			_ = t.Close(farewell, name)
		}()
		w := watcher{term: t, name: name, clock: l.clock}
		w.run(ctx, false, func(found *term.State, _ bool) {
			now := leader(holders(found))
			if last == nil || !reflect.DeepEqual(*last, now) {
				last = &now
				f(now)
			}
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}

		return t.Lost()
	}, l.retry)
}

// leader returns the leader if these sessions, in the order of their tokens, hold the lock.
func leader(holders []Holder) Leader {
	if len(holders) == 0 {
		return Leader{}
	}
	first := holders[0]

	return Leader{Session: first.Session, Token: first.Token, Data: first.Data}
}

// lead reports the leader if it has changed.
func (l *locker) lead(now Leader) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leader == nil || !reflect.DeepEqual(*l.leader, now) {
		l.leader = &now
		l.tell(now)
	}
}
