// Package term is a coordination session's life as the recipes see it: it begins with a node that exists and a session,
// leases are taken in it, and it ends with the session.
//
// It knows what ydb-go-sdk's own client does beyond its interface, so that the recipes run on that client and on any
// other alike.
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

// ErrLost is the cause of the end of a lease that was not given back.
var ErrLost = errors.New("lease lost")

const (
	// DefaultTimeout is that of a session when none is asked for.
	DefaultTimeout = 10 * time.Second

	// MinTimeout leaves room for a few round trips.
	MinTimeout = 100 * time.Millisecond

	// MaxTimeout is the protocol's, A4.
	MaxTimeout = 30 * time.Minute

	// Limits of the protocol, in bytes: A4, Q1, Q4.
	maxDescription = 1 << 10
	maxData        = 1 << 20
	maxName        = 1 << 10

	// closeLimit bounds the farewell to a server that may be gone; after it the session times out on its own.
	closeLimit = 5 * time.Second

	// refusals is how often an acquire may be refused for no reason that can be seen before it counts as permanent.
	refusals = 3
)

// Config says where and how sessions are opened. Client and Path are needed.
type Config struct {
	Client      coordination.Client
	Path        string
	Timeout     time.Duration // 0: DefaultTimeout
	Description string
	NoCreate    bool // a missing node is an error
}

// Check reports what the protocol would refuse, or would not notice.
func (c *Config) Check() error {
	switch {
	case c.Client == nil:
		return errors.New("the coordination client is nil")
	case c.Path == "" || c.Path[0] != '/':
		return fmt.Errorf("node path %q is not absolute: begin it with the database, e.g. /local/tenure", c.Path)
	case c.Timeout != 0 && (c.Timeout < MinTimeout || c.Timeout > MaxTimeout):
		return fmt.Errorf("timeout %v is not within %v and %v", c.Timeout, MinTimeout, MaxTimeout)
	case len(c.Description) > maxDescription:
		return fmt.Errorf("description of %d bytes is over %d", len(c.Description), maxDescription)
	}

	return nil
}

// CheckName reports whether a semaphore may have the name. The protocol allows an empty one; it is a mistake, though.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("semaphore name is empty")
	case len(name) > maxName:
		return fmt.Errorf("semaphore name of %d bytes is over %d", len(name), maxName)
	}

	return nil
}

// CheckData reports whether an acquire may carry the data.
func CheckData(data []byte) error {
	if len(data) > maxData {
		return fmt.Errorf("data of %d bytes are over %d", len(data), maxData)
	}

	return nil
}

// A Term is a session. Its methods may be called from several goroutines.
type Term struct {
	session coordination.Session
	path    string
}

// open creates the node if it is missing and opens a session.
func open(ctx context.Context, c Config) (coordination.Session, error) {
	if err := ensureNode(ctx, c); err != nil {
		return nil, err
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
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
		return nil, notStarted(c.Path) // the look-up of the node has just been answered
	}

	// Among these are a node that was just dropped (A3) and too many sessions (A5).
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
		if c.NoCreate {
			return backoff.Permanent(ydberr.Wrap(
				fmt.Sprintf("node %q does not exist: create it, or allow it to be created", c.Path), err))
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

// missing reports whether err says that there is no node (N4).
func missing(err error) bool {
	return ydberr.Is(err, Ydb.StatusIds_SCHEME_ERROR, Ydb.StatusIds_NOT_FOUND)
}

// reason describes the error of a call about the node. The text is the same for each call that gets no answer, so that
// a reason that has not changed looks the same.
func reason(ctx context.Context, doing, path string, err error) error {
	switch {
	case ydberr.Unreachable(err):
		return ydberr.Because(fmt.Sprintf("cannot connect to the server (%s): check that it runs", ydberr.Text(err)), err)
	case ydberr.Silent(err), ctx.Err() != nil && !ydberr.Answered(err):
		return noAnswer(err)
	}

	return ydberr.Wrap(fmt.Sprintf("%s node %q", doing, path), err)
}

func noAnswer(err error) error {
	return ydberr.Because("no answer from the server: check that it runs and can be reached", err)
}

// notStarted is the reason if the server answers other calls. To clients such as the SDK's, which keep refusals to
// themselves, missing rights look like this.
func notStarted(path string) error {
	return fmt.Errorf("the server answers, but does not start a session on node %q: check the right to use the node", path)
}

// SessionID returns the session's id.
func (t *Term) SessionID() uint64 { return t.session.SessionID() }

// Context ends with the session.
func (t *Term) Context() context.Context { return t.session.Context() }

// Acquire waits for the ephemeral semaphore and takes all of it. It returns when it has it, when ctx ends, or when the
// session does; a lease may come even though ctx has ended. An error that another attempt cannot mend is marked by
// [backoff.Permanent].
func (t *Term) Acquire(ctx context.Context, name string, data []byte) (coordination.Lease, error) {
	// The SDK's client leaves an acquire waiting for ever when its session ends in the wrong moment.
	bound, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(t.session.Context(), func() { cancel(t.Lost()) })
	defer stop()

	pauses := newPauses()
	for try := 1; ; try++ {
		lease, err := t.session.AcquireSemaphore(bound, name, coordination.Exclusive,
			options.WithEphemeral(true), options.WithAcquireData(data))
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
	return fmt.Sprintf("acquire semaphore %q on node %q", name, t.path)
}

// refused finds out why an acquire without a time limit was answered with "not acquired". The SDK's client drops the
// status of the answer, and all that is left to see is the semaphore.
func (t *Term) refused(ctx context.Context, name string) error {
	if t.persistent(ctx, name) {
		return backoff.Permanent(errors.New(t.wrongKind(name)))
	}

	return fmt.Errorf("%s: the server refuses: check the right to write to the node", t.acquiring(name))
}

// persistent reports whether the semaphore is of the kind that can't be acquired as an ephemeral one (Q3).
func (t *Term) persistent(ctx context.Context, name string) bool {
	found, err := t.session.DescribeSemaphore(ctx, name)

	return err == nil && found.Name == name && !found.Ephemeral
}

func (t *Term) wrongKind(name string) string {
	return t.acquiring(name) + ": it is a persistent semaphore, and an ephemeral one is wanted: " +
		"choose another name, or delete it"
}

// Lost says that the session has ended, and why, if its context tells.
func (t *Term) Lost() error { return lost(t.session.Context()) }

// lost words the cause of a context that is the session's or a lease's.
func lost(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return fmt.Errorf("%w: %w", ErrLost, cause)
	}

	return fmt.Errorf("%w: the session has ended", ErrLost)
}

// Release gives a lease back and returns when the server has answered. If ctx ends before that, the session is closed:
// there is no other way to end a release.
func (t *Term) Release(ctx context.Context, lease coordination.Lease) error {
	stop := context.AfterFunc(ctx, func() { _ = t.session.Close(ctx) })
	defer stop()
	err := lease.Release()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("release on node %q: no answer in time", t.path)
	}

	return ydberr.Wrap(fmt.Sprintf("release on node %q", t.path), err)
}

// Close ends the session, having made sure that the server knows of every acquire that was given up; after it nothing
// of the term is left, or will be once the session's timeout has passed.
//
// The SDK's client gives up an acquire in the background, and its Close ends the stream so fast that neither that nor
// the session's end reach the server: the dead session would be granted what it waited for, and keep it for its whole
// timeout. Requests are answered in order, so an answer to anything shows that what went before has arrived.
func (t *Term) Close(ctx context.Context, name string) error {
	if t.session.Context().Err() == nil {
		_, _ = t.session.DescribeSemaphore(ctx, name)
	}

	return t.session.Close(ctx)
}

// Farewell returns a context for Release and Close at the end of a term: it outlives ctx, for a limited time.
func Farewell(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
}
