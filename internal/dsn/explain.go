package dsn

import (
	"context"
	"errors"
	"strings"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/ydberr"
)

type (
	// An operationError of the SDK holds the status with which the server answered.
	operationError interface {
		error
		Issues() []*Ydb_Issue.IssueMessage
	}
	// A transportError of the SDK or of gRPC says why there was no such answer.
	transportError interface {
		error
		GRPCStatus() *status.Status
	}
)

// explain returns an error that says why ydb.Open failed with err, after the probe had succeeded.
func (a *Address) explain(ctx context.Context, err error) error {
	text, _, _ := strings.Cut(ydberr.Said(err), "; transport: ") // the body of an answer by HTTP follows
	text = strings.Join(strings.Fields(text), " ")
	code := codes.OK
	if transport, ok := errors.AsType[transportError](err); ok {
		code = transport.GRPCStatus().Code()
	}
	_, answered := errors.AsType[operationError](err)
	late := code == codes.OK || code == codes.DeadlineExceeded || code == codes.Canceled
	switch {
	case ydberr.Is(err, Ydb.StatusIds_NOT_FOUND, Ydb.StatusIds_SCHEME_ERROR):
		return errorf(err, "the server at %s has no database %q (%s): check the database in %s",
			a.Host, a.Database, text, a.setting)
	case code == codes.Unimplemented && a.user:
		return errorf(err, "the server at %s has no users (%s): remove the user name and the password from %s",
			a.Host, text, a.setting)
	case code == codes.Unimplemented:
		return a.otherServer(text)
	case ydberr.Is(err, Ydb.StatusIds_UNSUPPORTED) && a.user:
		return errorf(err, "the server at %s has no users (%s): remove the user name and the password from %s",
			a.Host, text, a.setting)
	case code == codes.Unauthenticated:
		return errorf(err, "the server at %s refuses the credentials (%s): check %s", a.Host, text, a.hints.Token)
	case ydberr.Denied(err):
		return errorf(err, "the server at %s refuses the credentials: %s", a.Host, ydberr.Text(err))
	case ctx.Err() == nil:
		return errorf(err, "cannot connect to %s (%s): check %s", a.Host, text, a.setting)
	case answered || !late:
		return a.unanswered(ctx, "the last attempt failed with "+text+": check "+a.setting)
	case a.Proxied():
		return a.unanswered(ctx, "check "+a.setting+", HTTPS_PROXY and NO_PROXY")
	}

	return a.unanswered(ctx, "check "+a.setting)
}
