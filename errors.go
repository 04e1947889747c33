package tenure

import (
	"context"
	"errors"
	"fmt"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/operation"
	"google.golang.org/grpc"

	"tenure/internal/limit"
	"tenure/internal/session"
	"tenure/internal/ydberr"
)

// Reasons why the context of a session or a lease has ended. [context.Cause] returns one of them, or an error that
// wraps one of them together with the server's answer.
var (
	// ErrLeaseReleased means that Release was called on the lease.
	ErrLeaseReleased = errors.New("lease released")

	// ErrSemaphoreDeleted means that the semaphore was deleted by force. The session continues.
	ErrSemaphoreDeleted = errors.New("semaphore deleted")

	// ErrDeadlinePassed means that the node has not answered for so long that it may have ended the session.
	ErrDeadlinePassed = errors.New("no answer from the server before the session deadline")

	// ErrSessionExpired means that the server has ended the session, or that it has refused to continue the session until
	// the deadline.
	ErrSessionExpired = errors.New("session expired")

	// ErrSessionClosed means that Close was called on the session or the client. It is the same error as
	// coordination.ErrSessionClosed.
	ErrSessionClosed = coordination.ErrSessionClosed
)

// ErrClientClosed is wrapped by the errors of the methods of a [Client] on which Close was called.
var ErrClientClosed = ydberr.ErrClientClosed

// StatusError reports that the server has refused a request. It wraps the SDK's error for the same status, so the SDK's
// checks work on it, such as ydb.IsOperationErrorNotFoundError.
//
// The client itself refuses a request that no server could process, with the status BAD_REQUEST. Such a request
// contains text that is not valid UTF-8 or the path of a node that is not absolute, or is larger than 4 MiB.
type StatusError struct {
	Operation string // the operation, such as "acquire semaphore"
	Object    string // the name of the semaphore, or the path of the node
	Status    Ydb.StatusIds_StatusCode
	Issues    []*Ydb_Issue.IssueMessage // the details that the server has sent; may be empty
	sdk       error
}

func newStatusError(op, object string, e *session.StatusError) *StatusError {
	return &StatusError{
		Operation: op, Object: object, Status: e.Status, Issues: e.Issues, sdk: sdkError(e.Status, e.Issues),
	}
}

func (e *StatusError) Error() string {
	if ydberr.NoNode(e.sdk) { // the server's text names a node as YDB does internally
		return fmt.Sprintf("%s %s: %s", e.Operation, limit.Quote(e.Object), ydberr.Text(e.sdk))
	}

	refusal := &session.StatusError{Status: e.Status, Issues: e.Issues}

	return fmt.Sprintf("%s %s: %v", e.Operation, limit.Quote(e.Object), refusal) + ydberr.Hint(e.sdk)
}

// Unwrap returns the SDK's error for the status.
func (e *StatusError) Unwrap() error { return e.sdk }

// nodeError returns the error of a call about a node without the SDK's positions in source files. It unwraps to err.
func nodeError(op, path string, err error) error {
	if err == nil {
		return nil
	}

	return ydberr.Wrap(op+" "+limit.Quote(path), err)
}

// sdkError returns the SDK's error for a status. The SDK does not export the type of that error, so sdkError makes a
// call over a connection whose answer has the status.
func sdkError(code Ydb.StatusIds_StatusCode, issues []*Ydb_Issue.IssueMessage) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err := operation.New(ctx, oneAnswer{code, issues, cancel}).Forget(ctx, "")

	return ydb.OperationError(err)
}

// oneAnswer is a connection that gives every call the same answer. It then cancels the context of the call, so that the
// SDK does not retry the call.
type oneAnswer struct {
	code   Ydb.StatusIds_StatusCode
	issues []*Ydb_Issue.IssueMessage
	last   context.CancelFunc // cancels the context of the call
}

func (o oneAnswer) Invoke(_ context.Context, _ string, _, reply any, _ ...grpc.CallOption) error {
	r, ok := reply.(*Ydb_Operations.ForgetOperationResponse)
	if !ok {
		return fmt.Errorf("unexpected answer type %T", reply)
	}
	r.Status, r.Issues = o.code, o.issues
	o.last()

	return nil
}

func (o oneAnswer) NewStream(
	context.Context, *grpc.StreamDesc, string, ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return nil, errors.ErrUnsupported
}

// A refusedError reports that the server refuses to continue a session. It wraps ErrSessionExpired and the refusal.
type refusedError struct {
	text string
	why  error
}

func newRefusedError(path string, e *session.RefusedError) error {
	doing := "attach to node"
	if e.Renewal {
		doing = "renew leases on node"
	}
	why := e.Cause
	if refusal, ok := errors.AsType[*session.StatusError](why); ok {
		why = newStatusError(doing, path, refusal)
	}

	text := fmt.Sprintf("the server refuses to continue the session: %s %s: %v", doing, limit.Quote(path), plain(why))

	return &refusedError{text: text, why: why}
}

func (e *refusedError) Error() string   { return e.text }
func (e *refusedError) Unwrap() []error { return []error{ErrSessionExpired, e.why} }

// cause translates the core's reason for the end of a session or a lease to an error of this package.
func cause(path string, err error) error {
	refused, denied := errors.AsType[*session.RefusedError](err)
	answer, answered := errors.AsType[*session.StatusError](err)
	switch {
	case denied:
		return newRefusedError(path, refused)
	case answered:
		return fmt.Errorf("%w: %w", ErrSessionExpired, newStatusError("attach to node", path, answer))
	case errors.Is(err, session.ErrDeadline):
		return ErrDeadlinePassed
	case errors.Is(err, session.ErrClosed):
		return ErrSessionClosed
	case errors.Is(err, session.ErrReleased):
		return ErrLeaseReleased
	case errors.Is(err, session.ErrDeleted):
		return ErrSemaphoreDeleted
	default:
		return fmt.Errorf("%w: attach to node %q: %w", ErrSessionExpired, path, plain(err))
	}
}

// plain returns an error that unwraps to err, the end of a stream, with a text for people: gRPC begins its own with
// "rpc error: code =".
func plain(err error) error { return ydberr.Because(ydberr.Text(err), err) }
