package etcdstore

import (
	"context"
	"errors"
	"sync"

	"tenure/internal/ownership"
	"tenure/internal/store"
)

// errReplaced is why the calls of an owner end when the space is claimed again.
var errReplaced = errors.New("the space was claimed again")

// owner carries out the transactions of a Core. Each one has a goroutine of its own, of which there are at most three
// at a time, and none while nobody uses the space.
type owner struct {
	etcd   *etcd
	ctx    context.Context // of all transactions
	cancel context.CancelCauseFunc

	running sync.WaitGroup

	mu       sync.Mutex // guards the following fields
	core     *ownership.Core
	err      error         // why the claim is over; nil: it is not
	done     chan struct{} // closed when it is over
	claimed  chan struct{} // closed when the space is claimed
	commit   chan struct{} // closed when the batch is durable; nil: there is none
	proved   uint64        // all tickets up to this one have a proof
	progress chan struct{} // closed and replaced when proved changes
}

func newOwner(ctx context.Context, e *etcd, cfg ownership.Config) *owner {
	ctx, cancel := context.WithCancelCause(ctx)
	o := &owner{
		etcd: e, ctx: ctx, cancel: cancel, core: ownership.New(cfg),
		done: make(chan struct{}), claimed: make(chan struct{}), progress: make(chan struct{}),
	}

	return o
}

// stop ends the owner. Transactions that are in flight may still be carried out, until the space is claimed again.
func (o *owner) stop(cause error) {
	o.mu.Lock()
	o.over(cause)
	o.mu.Unlock()
	o.running.Wait()
}

// over ends the claim. It is called with mu held.
func (o *owner) over(cause error) {
	if o.err == nil {
		o.err = cause
		close(o.done)
		o.cancel(cause)
	}
}

// call calls a method of the core and performs its effects. It is called with mu held.
func (o *owner) call(f func(*ownership.Effects)) {
	if o.err != nil {
		return
	}
	var fx ownership.Effects
	f(&fx)
	for _, a := range fx.Actions {
		switch a := a.(type) {
		case ownership.Send:
			o.running.Go(func() { o.send(a) })
		case ownership.Claimed:
			close(o.claimed)
		case ownership.Committed:
			close(o.commit)
			o.commit = nil
		case ownership.Confirmed:
			o.proved = a.Ticket
			close(o.progress)
			o.progress = make(chan struct{})
		case ownership.Over:
			o.over(a.Cause)
		}
	}
}

func (o *owner) send(a ownership.Send) {
	if a.Attempt > 1 {
		if err := o.etcd.pause(o.ctx, a.Attempt-1); err != nil {
			return
		}
	}
	r, err := o.etcd.do(o.ctx, unfenced(a.Txn))
	o.mu.Lock()
	defer o.mu.Unlock()
	o.call(func(fx *ownership.Effects) {
		refused := refusal(err)
		switch {
		case err == nil:
			o.core.Answer(a.ID, r, fx)
		case refused != nil:
			o.core.Refused(a.ID, refused, fx)
		default:
			o.core.Unknown(a.ID, fx)
		}
	})
}

// wait waits for ok, which is closed on success. If the context ends first, the claim is over.
func (o *owner) wait(ctx context.Context, ok <-chan struct{}) error {
	select {
	case <-ok:
		return nil
	case <-o.done:
	case <-ctx.Done():
		o.stop(context.Cause(ctx))
	}
	select {
	case <-ok: // both happened
		return nil
	default:
		return o.err
	}
}

func (o *owner) claim(ctx context.Context) error {
	o.mu.Lock()
	o.call(o.core.Claim)
	o.mu.Unlock()

	return o.wait(ctx, o.claimed)
}

func (o *owner) write(ctx context.Context, b store.Batch) error {
	done := make(chan struct{})
	o.mu.Lock()
	o.commit = done
	o.call(func(fx *ownership.Effects) { o.core.Commit(b, fx) })
	o.mu.Unlock()

	return o.wait(ctx, done)
}

// confirm returns when there is a proof. If the context ends first, the claim continues.
func (o *owner) confirm(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var ticket uint64
	o.call(func(fx *ownership.Effects) { ticket = o.core.Confirm(fx) })
	for o.err == nil && o.proved < ticket {
		progress := o.progress
		o.mu.Unlock()
		select {
		case <-progress:
		case <-o.done:
		case <-ctx.Done():
		}
		o.mu.Lock()
		if o.proved < ticket && ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if ticket != 0 && o.proved >= ticket {
		return nil
	}

	return o.err
}

// release gives the space up, in favour of a server, or of none. It returns why the claim is over, which is
// ownership.ErrReleased if that has succeeded.
func (o *owner) release(ctx context.Context, to string) error {
	o.mu.Lock()
	o.call(func(fx *ownership.Effects) { o.core.Release(to, fx) })
	o.mu.Unlock()

	return o.wait(ctx, nil)
}
