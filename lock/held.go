package lock

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"golang.org/x/sync/errgroup"

	"tenure/internal/nocontext"
	"tenure/internal/term"
)

// Held is a lock that is held, or was. Its methods are safe for concurrent use.
type Held struct {
	locker *locker
	term   *term.Term
	leases []coordination.Lease
	tokens map[string]uint64

	ctx    context.Context // see Context
	cancel context.CancelCauseFunc

	alive    context.Context // ends when a lease ends
	end      context.CancelCauseFunc
	stopLost func() bool
	lost     chan struct{} // closed when Lost was observed
	watch    sync.WaitGroup

	stopRefusal func() // ends the events SessionRefused

	once sync.Once
	err  error // the result of Release
}

// errReleased is the cause of the end of the context of a lock that was released.
var errReleased = errors.New("lock released")

func newHeld(ctx context.Context, l *locker, t *term.Term) *Held {
	h := &Held{locker: l, term: t, tokens: map[string]uint64{}, lost: make(chan struct{})}
	ctx = context.WithoutCancel(ctx)
	h.ctx, h.cancel = context.WithCancelCause(ctx)
	h.alive, h.end = context.WithCancelCause(ctx)
	h.stopRefusal = t.WatchRefusal(func(refusal error) { l.observe(SessionRefused{Err: refusal}) })

	return h
}

// begin reports that the lock is held, and starts to watch it.
func (h *Held) begin() {
	for i, lease := range h.leases { // in the order of the requests
		name := h.locker.requests[i].Name
		context.AfterFunc(lease.Context(), func() { h.end(lost(name, term.LostLease(lease))) })
	}
	h.locker.observe(Acquired{
		Session: h.term.SessionID(), Token: h.Token(), Tokens: h.Tokens(), Waited: h.locker.clock.Now().Sub(h.locker.since),
	})
	if h.locker.electing {
		h.locker.lead(Leader{Session: h.SessionID(), Token: h.Token(), Data: h.term.Data(), Self: true})
	}
	h.stopLost = context.AfterFunc(h.alive, func() {
		defer close(h.lost)
		cause := context.Cause(h.alive)
		h.cancel(cause)
		h.locker.observe(Lost{Cause: cause})
		if h.locker.electing {
			h.locker.lead(Leader{})
		}
	})
	if grace := h.locker.grace; grace > 0 {
		h.watch.Go(func() {
			term.Danger(h.alive, h.leases[0], grace, h.endangered, func(left time.Duration) {
				h.locker.observe(Safe{Remaining: left})
			})
		})
	}
}

// lost returns the error for the loss of the lock with this name.
func lost(name string, cause error) error { return &term.Named{What: "lock", Name: name, Err: cause} }

// endangered ends the context because only the grace is left.
func (h *Held) endangered(left time.Duration) {
	cause := fmt.Errorf("%w: the server does not answer, and the lease may be granted to someone else in %v",
		ErrLost, h.locker.grace)
	if refusal := h.term.Refusal(); refusal != nil {
		cause = fmt.Errorf("%w: the lease may be granted to someone else in %v, because %w", ErrLost, h.locker.grace, refusal)
	}
	cause = lost(h.locker.name, cause)
	h.cancel(cause)
	h.locker.observe(Danger{Remaining: left, Cause: cause})
	if h.locker.electing {
		h.locker.lead(Leader{})
	}
}

// Token returns the fencing token of the lock. Each holder's token is greater than those of all earlier holders of the
// same lock. Send it with each write, and have the storage reject older tokens.
//
// With several locks ([WithAlso]), it is the token of the one that was passed by name. Each lock has its own token: see
// Tokens.
func (h *Held) Token() uint64 { return h.tokens[h.locker.name] }

// Tokens returns the fencing token of each lock.
func (h *Held) Tokens() map[string]uint64 { return maps.Clone(h.tokens) }

// Context returns a context that ends when the lock is lost or released. With [WithGrace], it ends when only the grace
// is left. If the lock is lost or in danger, the cause ([context.Cause]) wraps [ErrLost].
func (h *Held) Context() context.Context { return h.ctx }

// Valid reports whether the lock is certain to be held at this moment. With a client whose leases do not report that,
// it reports whether the client treats the lock as held. It does no I/O.
func (h *Held) Valid() bool {
	if h.alive.Err() != nil {
		return false
	}
	for _, lease := range h.leases {
		if l, ok := lease.(interface{ Valid() bool }); ok && !l.Valid() {
			return false
		}
	}

	return true
}

// Deadline returns the time until which the lock is certain to be held, as far as the client knows now. Each answer of
// the server moves it forward. It returns the zero time if the lock is no longer held, or if the client's leases do not
// report a deadline.
func (h *Held) Deadline() time.Time {
	if l, ok := h.leases[0].(interface{ Deadline() time.Time }); ok && h.alive.Err() == nil {
		return l.Deadline()
	}

	return time.Time{}
}

// Remaining returns the time left until the deadline. It returns 0 if the lock is no longer held, or if the client's
// leases do not report their remaining time. It does no I/O.
func (h *Held) Remaining() time.Duration {
	if l, ok := h.leases[0].(interface{ Remaining() time.Duration }); ok && h.alive.Err() == nil {
		return l.Remaining()
	}

	return 0
}

// Renewed returns a channel that is closed when the deadline has moved since the call, or when the lock is no longer
// held. If the client's leases do not report renewals, it is closed only when the lock is no longer held.
func (h *Held) Renewed() <-chan struct{} {
	if l, ok := h.leases[0].(interface{ Renewed() <-chan struct{} }); ok && h.alive.Err() == nil {
		return l.Renewed()
	}

	return h.alive.Done()
}

// Lease returns the client's lease of the lock, or with several locks, of the one that comes first in the order of the
// names. The caller must not release it.
func (h *Held) Lease() coordination.Lease { return h.leases[0] }

// Session returns the session that holds the lock. The caller must not close it.
func (h *Held) Session() coordination.Session { return h.term.Session() }

// SessionID returns the id of the session that holds the lock.
func (h *Held) SessionID() uint64 { return h.term.SessionID() }

// SetData replaces the data that others can see (see [WithData]). It returns when the server has answered. If ctx ends
// first, it is unknown whether the data is replaced. The caller must not change the data until the lock is released.
func (h *Held) SetData(ctx context.Context, data []byte) error {
	if ctx == nil {
		return fmt.Errorf("set the data of lock %q: %w", h.locker.name, nocontext.Err)
	}
	for _, r := range h.locker.requests {
		if err := h.term.SetData(ctx, h.alive, r, data); err != nil {
			return fmt.Errorf("set the data of lock %q: %w", r.Name, err)
		}
	}

	return nil
}

// Release releases the lock and closes its session. It ends the context of the lock immediately. It returns nil when
// the server has confirmed the release. If ctx ends first, or if 5 s have passed, it returns an error that wraps the
// error of ctx, or [context.DeadlineExceeded]. The client then keeps trying in the background. If the process ends
// before that succeeds, the lock may stay locked until the session timeout has passed. So during a shutdown, pass a
// context that has not ended, such as context.WithoutCancel(ctx).
//
// [Do] and [Elect] release the lock when work has returned. If work calls Release, its context ends, and Do returns an
// error.
//
// If the lock was lost, Release returns an error that wraps [ErrLost]. It must be called in this case too. Calling it
// again returns the same result.
func (h *Held) Release(ctx context.Context) error {
	h.once.Do(func() { h.err = h.release(ctx) })

	return h.err
}

func (h *Held) release(ctx context.Context) (err error) {
	inTime := h.stopLost()
	if !inTime {
		<-h.lost
		err = context.Cause(h.alive)
	}
	h.end(errReleased)
	h.watch.Wait()
	h.stopRefusal()
	h.cancel(errReleased)
	limited, cancel := term.Limit(nocontext.Or(ctx))
	defer cancel()
	if inTime {
		if h.locker.electing {
			h.locker.lead(Leader{}) // before another process can lead
		}
		if err = h.free(limited); err != nil {
			err = fmt.Errorf("lock %q: %w", h.locker.name, err)
		}
		h.locker.observe(Released{Err: err})
	}
	_ = h.term.Close(limited, h.locker.name) // if it fails, the session times out

	return err
}

// free releases the leases.
func (h *Held) free(ctx context.Context) error {
	if len(h.leases) == 1 {
		return h.term.Release(ctx, h.leases[0])
	}
	var g errgroup.Group
	for _, lease := range h.leases {
		if lease.Context().Err() == nil {
			g.Go(func() error { return h.term.Release(ctx, lease) })
		}
	}

	return g.Wait()
}

// giveUp releases what was acquired and closes the session, if the lock as a whole was not acquired.
func (h *Held) giveUp(ctx context.Context) {
	h.end(errReleased)
	h.stopRefusal()
	h.cancel(errReleased)
	farewell, cancel := term.Farewell(ctx)
	defer cancel()
	_ = h.free(farewell)
	_ = h.term.Close(farewell, h.locker.name)
}
