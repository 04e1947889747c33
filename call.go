package tenure

import (
	"context"
	"errors"
	"fmt"

	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/clock"
	"tenure/internal/flight"
	"tenure/internal/nocontext"
	"tenure/internal/session"
	"tenure/internal/ydberr"
)

// pending is a call in progress.
type pending struct {
	done     chan struct{} // has capacity 1; a value means that finished is set
	finished session.Finished
}

// newPending returns a pending call. It reuses the last one, unless that is still in progress.
func (s *Session) newPending() *pending {
	if p := s.unused.Swap(nil); p != nil {
		return p
	}

	return &pending{done: make(chan struct{}, 1)}
}

// finish ends the call. It does not block.
func (p *pending) finish(s *Session, f session.Finished) {
	if f.Lease != nil {
		s.leaseOf(f.Lease)
	}
	p.finished = f
	p.done <- struct{}{}
}

// peek puts back the value that the caller has received from done, and so lets await receive it.
func (p *pending) peek() { p.done <- struct{}{} }

// call makes a call and waits until it ends. Its errors are those of this package. They contain the operation and the
// name.
func (s *Session) call(ctx context.Context, op, name string, c *session.Call) (session.Finished, error) {
	if err := s.check(ctx, op, name, c); err != nil {
		return session.Finished{}, err
	}

	return s.begin(ctx, op, name, c)
}

// check returns an error if ctx is nil or has ended, or if the request of the call cannot be sent.
func (s *Session) check(ctx context.Context, op, name string, c *session.Call) error {
	if err := nocontext.Or(ctx).Err(); err != nil {
		return fmt.Errorf("%s %q: %w", op, name, err)
	}

	return checkRequest(op, name, c.Message())
}

// begin is like call for a request that needs no check, and begins the call even if ctx has ended.
func (s *Session) begin(ctx context.Context, op, name string, c *session.Call) (session.Finished, error) {
	p := s.newPending()
	c.Owner = p
	s.do(func(now clock.Instant, fx *session.Effects) { s.core.Begin(now, c, fx) })

	return s.await(ctx, op, name, c, p)
}

// await waits until a call ends. If ctx ends first, it cancels the call. It ends the use of p.
func (s *Session) await(
	ctx context.Context, op, name string, c *session.Call, p *pending,
) (session.Finished, error) {
	defer s.unused.Store(p) // after Cancel, no Finished action follows
	select {
	case <-p.done:
	case <-ctx.Done():
		s.do(func(now clock.Instant, fx *session.Effects) { s.core.Cancel(now, c, fx) })
		select {
		case <-p.done: // the call has ended just before
		default:
			return session.Finished{}, fmt.Errorf("%s %q: %w", op, name, ctx.Err())
		}
	}
	f := p.finished
	p.finished = session.Finished{}

	return f, s.callError(op, name, f.Err)
}

// callError translates the error of a call of the core to an error of this package.
func (s *Session) callError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	over := context.Cause(s.ctx) // nil if the session has not ended
	refusal, refused := errors.AsType[*session.StatusError](err)
	switch {
	case refused:
		return newStatusError(op, name, refusal)
	case errors.Is(err, session.ErrNotAcquired):
		return fmt.Errorf("%s %q: %w", op, name, ydberr.ErrNotAcquired)
	case errors.Is(err, session.ErrAnswer):
		return fmt.Errorf("%s %q: %w", op, name, err)
	case errors.Is(err, session.ErrUnknown) && over != nil:
		return fmt.Errorf("%s %q: %w: %w", op, name, coordination.ErrOperationStatusUnknown, over)
	case errors.Is(err, session.ErrUnknown):
		return fmt.Errorf("%s %q: %w", op, name, coordination.ErrOperationStatusUnknown)
	case errors.Is(over, ErrSessionClosed):
		return fmt.Errorf("%s %q: %w", op, name, over)
	default:
		return fmt.Errorf("%s %q: %w: %w", op, name, ErrSessionClosed, over)
	}
}

// acquireAndLook is like call for an acquire, and also describes the semaphore. If the node answers the acquire
// immediately, it answers the describe immediately afterwards.
func (s *Session) acquireAndLook(
	ctx context.Context, op, name string, acquire *session.Call, look *flight.Look,
) (session.Finished, error) {
	if err := s.check(ctx, op, name, acquire); err != nil {
		return session.Finished{}, err
	}
	describe := session.NewDescribe(&pb.SessionRequest_DescribeSemaphore{Name: name, IncludeOwners: true})
	first, second := s.newPending(), s.newPending()
	acquire.Owner, describe.Owner = first, second
	s.do(func(now clock.Instant, fx *session.Effects) {
		s.core.Begin(now, acquire, fx)
		s.core.Begin(now, describe, fx)
	})
	var early bool // the acquire waits in the queue
	select {
	case <-first.done:
		first.peek()
	case <-second.done:
		second.peek()
		early = len(first.done) == 0
	case <-ctx.Done():
	}
	f, err := s.await(ctx, op, name, acquire, first)
	d, missing := s.await(ctx, "describe semaphore", name, describe, second)
	if missing == nil && !early {
		look.Description = description(d.Description)
	}

	return f, err
}
