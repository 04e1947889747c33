// Package term opens a session on a coordination node, takes leases in it and closes it, for the recipes in packages
// lock and workers.
//
// It compensates for what ydb-go-sdk's client hides, so that the recipes behave the same with that client and with
// others.
package term

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/internal/clock"
	"tenure/internal/ydberr"
)

// ErrLost is wrapped by the cause of the end of a lease that was not released.
var ErrLost = errors.New("lease lost")

const (
	// closeLimit limits the release and the close at the end of a term, because the server may not answer. After that,
	// the session ends by its timeout.
	closeLimit = 5 * time.Second

	// refusals is how many acquires in a row may be refused without a visible reason before the refusal counts as
	// permanent.
	refusals = 3
)

// A Term is a session. Its methods may be called from several goroutines.
type Term struct {
	session coordination.Session
	config  Config
}

// open creates the node if it is missing and opens a session.
func open(ctx context.Context, c Config) (coordination.Session, error) {
	if err := ensureNode(ctx, c); err != nil {
		return nil, err
	}
	session, err := c.Client.Session(ctx, c.Path,
		options.WithSessionTimeout(c.Timeout),
		// Pings come every third of the timeout, and at least every 5 s (P1). With the SDK's default, 10 s, the client
		// would notice a dead stream long after the session has expired.
		options.WithSessionKeepAliveTimeout(min(c.Timeout/2, 10*time.Second)),
		options.WithSessionReconnectDelay(min(c.Timeout/10, 500*time.Millisecond)),
		options.WithDescription(c.Description),
	)
	switch {
	case err == nil:
		return session, nil
	case ydberr.Denied(err), ydberr.Is(err, Ydb.StatusIds_BAD_REQUEST):
		return nil, backoff.Permanent(ydberr.Wrap(fmt.Sprintf("open session on node %q", c.Path), err))
	case ctx.Err() != nil && !ydberr.Answered(err) && !ydberr.Unreachable(err) && !ydberr.Silent(err):
		return nil, notStarted(c.Path) // the server has just answered the look-up of the node
	}

	// The node may just have been dropped (A3), or there may be too many sessions (A5).
	return nil, reason(ctx, "open session on", c.Path, err)
}

// ensureNode looks up the node before it creates it, because a caller with the right to use a node need not have the
// right to create one. Unlike Session of the SDK's client, these calls return the server's refusal.
func ensureNode(ctx context.Context, c Config) error {
	err := lookUp(ctx, c)
	if err == nil {
		return nil
	}
	doing := "look up"
	if missing(err) {
		if c.NoCreate && ydberr.NoNode(err) {
			return backoff.Permanent(ydberr.Because(
				fmt.Sprintf("node %q does not exist: create it first, or leave out WithoutCreate (--no-create)", c.Path), err))
		}
		if c.NoCreate {
			return backoff.Permanent(reason(ctx, doing, c.Path, err))
		}
		if err = c.Client.CreateNode(ctx, c.Path, coordination.NodeConfig{}); err == nil {
			return nil
		}
		doing = "create"
	}
	why := reason(ctx, doing, c.Path, err)
	if ydberr.Permanent(err) {
		return backoff.Permanent(why)
	}

	return why
}

func lookUp(ctx context.Context, c Config) error {
	_, _, err := c.Client.DescribeNode(ctx, c.Path)

	return err
}

// missing reports whether err may mean that there is no node (N4). If the path exists and is not a node, creating the
// node fails.
func missing(err error) bool {
	return ydberr.Is(err, Ydb.StatusIds_SCHEME_ERROR, Ydb.StatusIds_NOT_FOUND)
}

// reason describes the error of a call about the node. If there is no answer, the text does not depend on the call, so
// that the same problem always has the same text.
func reason(ctx context.Context, doing, path string, err error) error {
	switch {
	case errors.Is(err, ydberr.ErrClientClosed):
		return err
	case ydberr.Unreachable(err):
		return ydberr.Because(fmt.Sprintf("cannot connect to the server (%s): check that it runs", ydberr.Text(err)), err)
	case ydberr.Silent(err), ctx.Err() != nil && !ydberr.Answered(err):
		return noAnswer(err)
	case ydberr.NoNode(err):
		return ydberr.Because(fmt.Sprintf("node %q does not exist", path), err)
	}

	return ydberr.Wrap(fmt.Sprintf("%s node %q", doing, path), err)
}

func noAnswer(err error) error {
	return ydberr.Because("no answer from the server: check that it runs and can be reached", err)
}

// notStarted returns the reason if the server answers other calls. Missing rights lead to it with clients such as the
// SDK's, which do not report refusals.
func notStarted(path string) error {
	return fmt.Errorf("the server answers, but does not start a session on node %q: check the right to use the node", path)
}

// SessionID returns the session's id.
func (t *Term) SessionID() uint64 { return t.session.SessionID() }

// Context ends with the session.
func (t *Term) Context() context.Context { return t.session.Context() }

// Acquire waits for the ephemeral semaphore and takes all of it. It returns when it has the lease, when ctx ends, or
// when the session ends. It may return a lease even if ctx has ended. It marks permanent errors with
// [backoff.Permanent].
func (t *Term) Acquire(ctx context.Context, name string) (coordination.Lease, error) {
	// An acquire of the SDK's client may wait forever if its session ends at the wrong moment.
	bound, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(t.session.Context(), func() { cancel(t.Lost()) })
	defer stop()

	pauses := newPauses()
	for try := 1; ; try++ {
		lease, err := t.session.AcquireSemaphore(bound, name, coordination.Exclusive,
			options.WithEphemeral(true), options.WithAcquireData(t.config.Data))
		switch {
		case err == nil:
			return lease, nil
		case bound.Err() != nil:
			return nil, context.Cause(bound)
		case errors.Is(err, coordination.ErrAcquireTimeout):
			err = t.refused(bound, name)
		case ydberr.Is(err, Ydb.StatusIds_PRECONDITION_FAILED) && t.persistent(bound, name):
			err = backoff.Permanent(ydberr.Wrap(t.wrongKind(name), err))
		case ydberr.Permanent(err):
			err = backoff.Permanent(ydberr.Wrap(t.acquiring(name), err))
		default:
			return nil, ydberr.Wrap(t.acquiring(name), err)
		}
		if try == refusals {
			err = backoff.Permanent(err)
		}
		if _, permanent := errors.AsType[*backoff.PermanentError](err); permanent {
			return nil, err
		}
		clock.Pause(bound, clock.Go(), pauses.NextBackOff())
	}
}

func (t *Term) acquiring(name string) string {
	return fmt.Sprintf("acquire semaphore %q on node %q", name, t.config.Path)
}

// refused finds out why the server refused an acquire that has no time limit. The SDK's client drops the status of the
// answer, so the reason can only be found by looking at the semaphore.
func (t *Term) refused(ctx context.Context, name string) error {
	if t.persistent(ctx, name) {
		return backoff.Permanent(errors.New(t.wrongKind(name)))
	}

	return fmt.Errorf("%s: the server refuses: check the right to write to the node", t.acquiring(name))
}

// persistent reports whether the semaphore is persistent. The server then refuses ephemeral acquires (Q3).
func (t *Term) persistent(ctx context.Context, name string) bool {
	found, err := t.session.DescribeSemaphore(ctx, name)

	return err == nil && found.Name == name && !found.Ephemeral
}

func (t *Term) wrongKind(name string) string {
	return t.acquiring(name) + ": a persistent semaphore with this name already exists, and an ephemeral one is needed: " +
		"delete it, or choose another name"
}

// Lost returns an error that wraps ErrLost and the cause of the end of the session, if it is known.
func (t *Term) Lost() error { return lost(t.session.Context()) }

// lost describes the end of ctx, which is the context of a session or a lease.
func lost(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return fmt.Errorf("%w: %w", ErrLost, cause)
	}

	return fmt.Errorf("%w: the session has ended", ErrLost)
}

// Release releases a lease and returns when the server has answered. If ctx ends first, Release closes the session,
// because there is no other way to cancel a release.
func (t *Term) Release(ctx context.Context, lease coordination.Lease) error {
	stop := context.AfterFunc(ctx, func() { _ = t.session.Close(ctx) })
	defer stop()
	err := lease.Release()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("release on node %q: no answer in time", t.config.Path)
	}

	return ydberr.Wrap(fmt.Sprintf("release on node %q", t.config.Path), err)
}

// Close makes sure that the server knows of every cancelled acquire, and then ends the session. The name can be that of
// any semaphore.
//
// The SDK's client cancels an acquire in the background, and its Close ends the stream so quickly that neither the
// cancellation nor the end of the session reaches the server. The server would then grant the semaphore to the dead
// session, which would own it until its timeout. The server answers requests in order, so the answer to any request
// shows that the earlier requests have arrived.
func (t *Term) Close(ctx context.Context, name string) error {
	if t.session.Context().Err() == nil {
		_, _ = t.session.DescribeSemaphore(ctx, name)
	}

	return t.session.Close(ctx)
}

// Farewell returns a context for Release and Close at the end of a term. It outlives ctx for a limited time.
func Farewell(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
}
