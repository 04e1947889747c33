package lock

import (
	"context"

	"tenure/internal/term"
)

// A queue is what is known about a lock that a session waits for.
type queue struct {
	name    string
	holders []Holder
	ahead   int
}

func holders(found *term.State) []Holder {
	var all []Holder
	for _, o := range found.Owners {
		all = append(all, Holder{Session: o.SessionID, Token: o.OrderID, Count: o.Count, Data: o.Data})
	}

	return all
}

// lookOnce finds out who holds the lock.
func (l *locker) lookOnce(ctx context.Context, t *term.Term) {
	if found, err := t.Look(ctx, l.queue.name); err == nil {
		l.queue.holders = holders(found)
	}
}

// look reports the state of the queue while the session waits. stop ends that, and may be called twice.
func (l *locker) look(ctx context.Context, t *term.Term, r term.Request) (stop func()) {
	return func() {}
}
