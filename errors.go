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

	"tenure/internal/session"
)

// Why the context of a lease or a session has ended; see [context.Cause]. What the server says is wrapped beside it.
var (
	// ErrLeaseReleased: Release was called.
	ErrLeaseReleased = errors.New("lease released")

	// ErrSemaphoreDeleted: the semaphore was deleted by force. The session goes on.
	ErrSemaphoreDeleted = errors.New("semaphore deleted")

	// ErrDeadlinePassed: the node has not answered for so long that it may let the session expire.
	ErrDeadlinePassed = errors.New("session deadline passed")

	// ErrSessionExpired: the server says that the session does not exist any more, or refuses it.
	ErrSessionExpired = errors.New("session expired")

	// ErrSessionClosed: Close was called. It is the SDK's coordination.ErrSessionClosed.
	ErrSessionClosed = coordination.ErrSessionClosed
)

// StatusError is a server's refusal of one call. The SDK's checks, such as ydb.IsOperationErrorNotFoundError, see
// through it.
//
// The client itself refuses a request that no server could read, with the status BAD_REQUEST: one with text that is not
// valid UTF-8, or with more than 4 MiB.
type StatusError struct {
	Operation string // what was asked, e.g. "acquire"
	Object    string // name of the semaphore, or path of the node
	Status    Ydb.StatusIds_StatusCode
	Issues    []*Ydb_Issue.IssueMessage
	sdk       error
}

func newStatusError(op, object string, e *session.StatusError) *StatusError {
	return &StatusError{
		Operation: op, Object: object, Status: e.Status, Issues: e.Issues, sdk: sdkError(e.Status, e.Issues),
	}
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: %v", e.Operation, quote(e.Object), &session.StatusError{Status: e.Status, Issues: e.Issues})
}

// Unwrap returns the SDK's own error of the status.
func (e *StatusError) Unwrap() error { return e.sdk }

// sdkError returns the SDK's own error for a status. It keeps the type to itself, so the SDK is made to read the status
// from an answer, as it would read one from a server.
func sdkError(code Ydb.StatusIds_StatusCode, issues []*Ydb_Issue.IssueMessage) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err := operation.New(ctx, oneAnswer{code, issues, cancel}).Forget(ctx, "")

	return ydb.OperationError(err)
}

// oneAnswer is a connection on which every call has the same answer, and is the last one.
type oneAnswer struct {
	code   Ydb.StatusIds_StatusCode
	issues []*Ydb_Issue.IssueMessage
	last   context.CancelFunc
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

// cause says why a session or a lease has ended, in the errors of this package.
func cause(path string, err error) error {
	refusal, refused := errors.AsType[*session.StatusError](err)
	switch {
	case refused:
		return fmt.Errorf("%w: %w", ErrSessionExpired, newStatusError("attach to node", path, refusal))
	case errors.Is(err, session.ErrDeadline):
		return ErrDeadlinePassed
	case errors.Is(err, session.ErrClosed):
		return ErrSessionClosed
	case errors.Is(err, session.ErrReleased):
		return ErrLeaseReleased
	case errors.Is(err, session.ErrDeleted):
		return ErrSemaphoreDeleted
	default:
		return fmt.Errorf("%w: attach to node %q: %w", ErrSessionExpired, path, err)
	}
}
