package lock

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"tenure/internal/clock"
	"tenure/internal/term"
)

// A queue is what is known about a lock that a session waits for. The goroutine of look uses it while that runs.
type queue struct {
	name    string
	holders []Holder
	ahead   []uint64 // order ids of the waiters that are ahead, in order
}

// holders returns the owners of a semaphore in the order of their tokens. The state is nil if it does not exist.
func holders(found *term.State) []Holder {
	if found == nil {
		return nil
	}
	var all []Holder
	for _, o := range found.Owners {
		all = append(all, Holder{Session: o.SessionID, Token: o.OrderID, Count: o.Count, Data: o.Data})
	}
	slices.SortFunc(all, func(a, b Holder) int { return cmp.Compare(a.Token, b.Token) })

	return all
}

// note updates the queue of the session from a state with these holders, and reports whether anything has changed.
func (q *queue) note(found *term.State, now []Holder, waiters bool, session uint64) (changed bool) {
	if len(now) == 0 {
		return false // somebody gets it right now
	}
	ahead := q.ahead
	if waiters {
		ahead = nil
		for _, w := range found.Waiters { // in the order of the queue
			if w.SessionID == session {
				break
			}
			ahead = append(ahead, w.OrderID)
		}
	}
	// The queue moves strictly in its order (Q9), so all waiters before the newest owner have left it.
	next, _ := slices.BinarySearch(ahead, now[len(now)-1].Token+1)
	ahead = ahead[next:]
	changed = len(ahead) != len(q.ahead) || !slices.EqualFunc(now, q.holders, func(a, b Holder) bool {
		return a.Session == b.Session && a.Token == b.Token && bytes.Equal(a.Data, b.Data)
	})
	q.holders, q.ahead = now, ahead

	return changed
}

// look reports the state of the queue while the session waits for the request. It does not touch the acquire, so it can
// neither delay the grant nor change the place in the queue. stop ends it, and may be called twice.
func (l *locker) look(ctx context.Context, t *term.Term, r term.Request) (stop func()) {
	if r.NoWait {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		moment := queuedMoment
		switch {
		case l.electing:
			moment = electedMoment
		case l.limited:
			moment = min(moment, l.wait/2) // so that a BusyError can name the holder
		}
		if !clock.Pause(ctx, l.clock, moment) {
			return
		}
		w := watcher{term: t, name: r.Name, clock: l.clock}
		w.run(ctx, true, func(found *term.State, waiters bool) {
			now := holders(found)
			if slices.ContainsFunc(now, func(h Holder) bool { return h.Session == t.SessionID() }) {
				return // the grant is on its way
			}
			if l.electing {
				l.lead(leader(now))
			}
			for i, h := range now {
				now[i].Lost, _ = t.GivenUp(h.Session)
			}
			if l.queue.note(found, now, waiters, t.SessionID()) {
				l.observe(Waiting{
					Session: t.SessionID(), Name: r.Name, Holders: slices.Clone(l.queue.holders), Ahead: len(l.queue.ahead),
				})
			}
		})
	}()

	return func() {
		cancel()
		<-ended
	}
}
