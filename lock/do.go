package lock

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/term"
)

// Do waits for the lock, calls work while it holds the lock, releases the lock, and returns what work returned. It
// calls work at most once. The lock is the semaphore with this name on the coordination node at the path node, which Do
// creates if it is missing. Do waits until ctx ends, or as long as [WithWait] allows.
//
// The context of work derives from ctx and also ends when the lock is lost, or with [WithGrace] some time before the
// lock can be granted to anyone else. Do then waits for work to return, and returns an error that wraps [ErrLost]. If
// ctx ends while work runs, Do waits for work to return, releases the lock, so that the next waiter gets it
// immediately, and returns what work returned. If ctx ends earlier, Do returns its cause ([context.Cause]).
//
// Until it has the lock, Do retries transient errors after a pause that grows to a few seconds: the server cannot be
// reached or is overloaded, or the session does not start. It returns permanent errors immediately: invalid arguments,
// missing rights, a path that is not a node, a semaphore of another kind with this name, a client that is closed. Use
// [errors.As] to get at the client's errors.
//
// If work panics, Do releases the lock and the panic propagates.
func Do(
	ctx context.Context, client coordination.Client, node, name string,
	work func(ctx context.Context, held *Held) error, opts ...Option,
) error {
	l := newLocker(client, node, name, opts)
	if work == nil {
		return l.wrong(errNoWork)
	}
	if err := l.prepare(ctx); err != nil {
		return err
	}
	held, err := l.acquire(ctx)
	if err != nil {
		return err
	}
	result, lost := held.do(ctx, work)
	if lost != nil {
		return interrupted(lost, result)
	}

	return result
}

var errNoWork = errors.New("the work is nil")

// Acquire waits for the lock and returns it. It waits until ctx ends, or as long as [WithWait] allows. The end of ctx
// has no effect on a lock that has been acquired. The caller must call [Held.Release]. Errors are those of [Do].
func Acquire(
	ctx context.Context, client coordination.Client, node, name string, opts ...Option,
) (*Held, error) {
	l := newLocker(client, node, name, opts)
	if err := l.prepare(ctx); err != nil {
		return nil, err
	}

	return l.acquire(ctx)
}

// TryAcquire is like [Acquire] with WithWait(0): if the lock is taken, it returns a [*BusyError], which wraps
// [ErrBusy], immediately.
func TryAcquire(
	ctx context.Context, client coordination.Client, node, name string, opts ...Option,
) (*Held, error) {
	return Acquire(ctx, client, node, name, append(slices.Clip(opts), WithWait(0))...)
}

// do runs work and releases the lock. It returns what work returned, and the reason if the lock was lost, or in danger,
// before work returned.
func (h *Held) do(ctx context.Context, work func(context.Context, *Held) error) (result, lost error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(h.ctx, func() { cancel(context.Cause(h.ctx)) })
	defer func() { // also if work panics
		stop()
		lost = context.Cause(h.ctx)
		farewell, cancel := term.Farewell(ctx)
		defer cancel()
		if err := h.Release(farewell); lost == nil && errors.Is(err, ErrLost) {
			lost = err
		}
	}()

	return work(ctx, h), nil
}

// interrupted returns the error of Do if the lock was lost. It adds what work returned, unless that says the same.
func interrupted(lost, result error) error {
	if result == nil || errors.Is(result, ErrLost) || errors.Is(result, context.Canceled) {
		return lost
	}

	return fmt.Errorf("%w; work returned: %w", lost, result)
}
