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

	"tenure/internal/clientconfig"
	"tenure/internal/ydberr"
)

// ErrLost is wrapped by the cause of the end of a lease that was not released.
var ErrLost = errors.New("lease lost")

// closeLimit limits the release and the close at the end of a term, because the server may not answer. After that, the
// session ends by its timeout.
const closeLimit = 5 * time.Second

// A Term is a session. Its methods may be called from several goroutines.
type Term struct {
	session coordination.Session
	config  Config

	// readable ends with the session, or earlier with the reason if the caller lacks the right to read.
	readable context.Context //nolint:containedctx // it stands for an answer that comes while others are awaited
}

// newTerm returns a term, and finds out meanwhile whether the caller may read. The client renews leases with requests
// that need this right. Without it, a lease would be lost soon after its COMMAND has started, and a wait would begin
// again and again. Other clients do not report the refusal, and do not renew leases in this way.
func newTerm(session coordination.Session, c Config) *Term {
	t := &Term{session: session, config: c, readable: session.Context()}
	if t.Ours() == nil {
		return t
	}
	readable, refuse := context.WithCancelCause(session.Context())
	t.readable = readable
	go func() { // ends with the session at the latest
		if _, err := session.DescribeSemaphore(session.Context(), "tenure"); ydberr.Denied(err) {
			refuse(t.cannotRenew(err))
		}
	}()

	return t
}

// cannotRenew returns the error for a caller that lacks the right to read.
func (t *Term) cannotRenew(err error) error {
	return backoff.Permanent(ydberr.Wrap(fmt.Sprintf("leases on node %q cannot be renewed without the right to read",
		t.config.Path), err))
}

// open creates the node if it is missing and opens a session.
func open(ctx context.Context, c Config) (coordination.Session, error) {
	if err := ensureNode(ctx, c); err != nil {
		return nil, err
	}
	session, err := openSession(ctx, c)
	switch {
	case err == nil:
		return session, nil
	case ydberr.Denied(err), ydberr.Is(err, Ydb.StatusIds_BAD_REQUEST):
		return nil, backoff.Permanent(ydberr.Wrap(fmt.Sprintf("open session on node %q", c.Path), err))
	case ctx.Err() != nil && !ydberr.Answered(err) && !ydberr.Busy(err) && !ydberr.Unreachable(err) && !ydberr.Silent(err):
		return nil, notStarted(ctx, c.Path) // the server has just answered the look-up of the node
	}

	// The node may just have been dropped (A3), or there may be too many sessions (A5).
	return nil, reason(ctx, "open session on", c.Path, err)
}

// openQuickly opens a session without looking up the node, which most often exists. It returns nil and no error if the
// server refuses. Then open finds out why. The client must return refusals.
func openQuickly(ctx context.Context, c Config) (coordination.Session, error) {
	session, err := openSession(ctx, c)
	switch {
	case err == nil:
		return session, nil
	case ctx.Err() == nil && (ydberr.Answered(err) || ydberr.Denied(err)):
		return nil, nil //nolint:nilnil // see above
	}

	return nil, reason(ctx, "open session on", c.Path, err)
}

func openSession(ctx context.Context, c Config) (coordination.Session, error) {
	return c.Client.Session(ctx, c.Path,
		options.WithSessionTimeout(c.Timeout),
		// Pings come every third of the timeout, and at least every 5 s (P1). With the SDK's default, 10 s, the client
		// would notice a dead stream long after the session has expired.
		options.WithSessionKeepAliveTimeout(min(c.Timeout/2, 10*time.Second)),
		options.WithSessionReconnectDelay(min(c.Timeout/10, 500*time.Millisecond)),
		options.WithDescription(c.Description),
	)
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
	case ydberr.Silent(err), ctx.Err() != nil && !ydberr.Answered(err) && !ydberr.Busy(err):
		return noAnswer(err)
	case ydberr.NoNode(err):
		return ydberr.Because(fmt.Sprintf("node %q does not exist", path), err)
	}

	return ydberr.Wrap(fmt.Sprintf("%s node %q", doing, path), err)
}

func noAnswer(err error) error {
	return ydberr.Because("no answer from the server: check that it runs and can be reached", err)
}

// notStarted returns the reason if the server answers other calls, but not the request for a session. The context is
// that of the attempt. Missing rights lead to it only with clients such as the SDK's, which do not report refusals.
func notStarted(ctx context.Context, path string) error {
	if ours, _ := clientconfig.LastAttempt(ctx); ours {
		return fmt.Errorf("the server answers, but not yet to the request for a session on node %q: it is busy, or the "+
			"node is being loaded: see its log", path)
	}

	return fmt.Errorf("the server answers, but does not start a session on node %q, and this client does not report why: "+
		"check the right to use the node, and the log of the server", path)
}

// Data returns the data that is attached to acquires.
func (t *Term) Data() []byte { return t.config.Data }

// SessionID returns the session's id.
func (t *Term) SessionID() uint64 { return t.session.SessionID() }

// Context ends with the session.
func (t *Term) Context() context.Context { return t.session.Context() }

// GivenUp reports whether the session with the id on the node is one that this client has given up, and for how much
// longer the server keeps it at most. It returns false with clients other than ours.
func (t *Term) GivenUp(id uint64) (left time.Duration, ok bool) {
	if s := t.Ours(); s != nil {
		return s.GivenUp(id)
	}

	return 0, false
}

// Refusal returns why the server refuses to continue the session at the moment, or nil. It returns nil with clients
// other than ours.
func (t *Term) Refusal() error {
	if s := t.Ours(); s != nil {
		return s.Refusal()
	}

	return nil
}

// Ours returns the session if the client is that of package tenure, and nil for any other client.
func (t *Term) Ours() clientconfig.Session { return clientconfig.FromContext(t.session.Context()) }

// Session returns the session.
func (t *Term) Session() coordination.Session { return t.session }

// Lost returns an error that wraps ErrLost and the cause of the end of the session, if it is known.
func (t *Term) Lost() error { return lost(t.session.Context()) }

// LostLease is like Lost for a lease that has ended.
func LostLease(lease coordination.Lease) error { return lost(lease.Context()) }

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
	err := release(ctx, lease)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("release on node %q: no answer in time: %w", t.config.Path, ctx.Err())
	}

	return ydberr.Wrap(fmt.Sprintf("release on node %q", t.config.Path), err)
}

func release(ctx context.Context, lease coordination.Lease) error {
	if l, ok := lease.(interface {
		ReleaseContext(ctx context.Context) error
	}); ok {
		return l.ReleaseContext(ctx)
	}

	return lease.Release()
}

// Close makes sure that the server knows of every cancelled acquire, and then ends the session. The name can be that of
// any semaphore.
//
// The SDK's client cancels an acquire in the background, and its Close ends the stream so quickly that neither the
// cancellation nor the end of the session reaches the server. The server would then grant the semaphore to the dead
// session, which would own it until its timeout. The server answers requests in order, so the answer to any request
// shows that the earlier requests have arrived. Our client needs no such request: its Close ends the session with a
// request of its own.
func (t *Term) Close(ctx context.Context, name string) error {
	if t.Ours() == nil && t.session.Context().Err() == nil {
		_, _ = t.session.DescribeSemaphore(ctx, name)
	}

	return t.session.Close(ctx)
}

// Farewell returns a context for Release and Close at the end of a term. It outlives ctx for a limited time.
func Farewell(ctx context.Context) (context.Context, context.CancelFunc) {
	return Limit(context.WithoutCancel(ctx))
}

// Limit returns a context for Release and Close that ends with ctx, or after a limited time.
func Limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, closeLimit)
}
