package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tenure/internal/clock"
	"tenure/internal/panics"
	"tenure/internal/store"
)

// claimError ends an owner whose node another server serves, or is about to.
type claimError struct{ error }

func (e *claimError) Unwrap() error { return e.error }

// commitGrace is how long commits may take after the server has begun to stop, if servers share the store.
const commitGrace = 500 * time.Millisecond

// limitCommits decides how long commits may take. On one machine they always end. A store that servers share waits
// while it cannot be reached, and a server that stops must not wait for that.
func (ns *nodes) limitCommits() {
	ns.env.commits, ns.ended = context.Background(), func() {}
	if !ns.env.store.Shared() {
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := context.AfterFunc(ns.ctx, func() {
		clock.Pause(ctx, ns.env.clock, commitGrace)
		cancel(errStopping)
	})
	ns.env.commits, ns.ended = ctx, func() {
		stop()
		cancel(errStopping)
	}
}

// claim makes this server the only one that can change the node. It returns since when the node's sessions have been
// detached. If servers share the store, another one may have served the node until now.
func (o *owner) claim(ctx context.Context, lost clock.Instant) (clock.Instant, error) {
	err := o.claimUnder(ctx)
	switch {
	case err == nil && o.env.store.Shared():
		return o.env.clock.Now(), nil
	case err == nil:
		return lost, nil
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case errors.Is(err, store.ErrDropped):
		return 0, errDropped
	case store.ClaimOver(err):
		return 0, &claimError{err}
	}

	return 0, fmt.Errorf("claim node %q: %w", o.path, err)
}

func (o *owner) claimUnder(ctx context.Context) error {
	if moves, ok := o.env.store.(store.Moves); ok {
		return moves.ClaimUnder(ctx, o.space, o.terms)
	}

	return o.env.store.Claim(ctx, o.space)
}

// confirm proves that no other server has claimed the node since the requests of the batch arrived. Otherwise an answer
// could extend a lease that the other server lets expire. A commit proves the same.
func (o *owner) confirm(ctx context.Context) error {
	if !o.env.store.Shared() || len(o.next.fx.Replies) == 0 && len(o.next.looks) == 0 {
		return nil
	}
	switch err := panics.Guard(func() error { return o.env.store.Confirm(ctx, o.space) }); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return o.storeFault("confirm the claim to", err)
	}
}

// storeFault returns the error with which the owner ends after an error of the store.
func (o *owner) storeFault(doing string, err error) error {
	if errors.Is(err, store.ErrDropped) { // by another server
		return errDropped
	}
	err = fmt.Errorf("%s node %q: %w", doing, o.path, err)
	if store.ClaimOver(err) {
		return &claimError{err}
	}

	return &storeError{err}
}
