// Package ydberr interprets the errors of coordination clients. It finds out what the server answered and whether a
// retry can help.
//
// ydb-go-sdk does not export the types of its errors, so this package recognises them by their methods. It treats the
// errors of other clients that have the same methods in the same way.
package ydberr

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type (
	// An operationError is an answer of the server that is not SUCCESS.
	operationError interface {
		error
		Code() int32 // a Ydb.StatusIds_StatusCode
		Issues() []*Ydb_Issue.IssueMessage
	}
	// A transportError contains the reason why there was no answer.
	transportError interface {
		error
		GRPCStatus() *status.Status
	}
)

// ErrClientClosed is wrapped by the errors of a tenure.Client that is closed.
var ErrClientClosed = errors.New("the client is closed")

// ErrNotAcquired is coordination.ErrAcquireTimeout of a client that uses it for nothing else. The SDK's client returns
// that error for every answer to an acquire that is not a grant.
var ErrNotAcquired = fmt.Errorf("%w", coordination.ErrAcquireTimeout)

// Answered reports whether err is an answer of the server.
func Answered(err error) bool {
	_, ok := errors.AsType[operationError](err)

	return ok
}

// Is reports whether err is an answer of the server with one of these codes.
func Is(err error, of ...Ydb.StatusIds_StatusCode) bool {
	operation, ok := errors.AsType[operationError](err)

	return ok && slices.Contains(of, Ydb.StatusIds_StatusCode(operation.Code()))
}

// NoNode reports whether err is an answer of the server that the node's path does not exist (A3, N4). The status alone
// does not show that: NOT_FOUND may refer to a semaphore, and SCHEME_ERROR to a path that is not a node.
func NoNode(err error) bool {
	operation, ok := errors.AsType[operationError](err)
	if !ok {
		return false
	}
	said := strings.ToLower(issueTexts(operation.Issues()))
	switch Ydb.StatusIds_StatusCode(operation.Code()) {
	case Ydb.StatusIds_NOT_FOUND:
		return strings.Contains(said, "kesus not found")
	case Ydb.StatusIds_SCHEME_ERROR:
		return strings.Contains(said, "not found") || strings.Contains(said, "does not exist")
	}

	return false
}

// Denied reports whether the server refused because the caller is not authenticated or lacks a right.
func Denied(err error) bool {
	return Is(err, Ydb.StatusIds_UNAUTHORIZED) || isTransport(err, codes.Unauthenticated, codes.PermissionDenied)
}

// Unreachable reports whether err means that there is no connection to the server.
func Unreachable(err error) bool { return isTransport(err, codes.Unavailable) && !Silent(err) }

// Interrupted reports whether the server ended the call before it read the request. A server that stops does that.
func Interrupted(err error) bool { return isTransport(err, codes.Canceled) }

// Busy reports whether the server refused a call because there are too many at the moment.
func Busy(err error) bool { return isTransport(err, codes.ResourceExhausted) }

// Unimplemented reports whether the server does not know the request.
func Unimplemented(err error) bool {
	return isTransport(err, codes.Unimplemented) || Is(err, Ydb.StatusIds_UNSUPPORTED)
}

// Silent reports whether err means that a connection exists but no answer arrived on it.
func Silent(err error) bool {
	transport, ok := errors.AsType[transportError](err)

	return ok && (transport.GRPCStatus().Code() == codes.DeadlineExceeded || Text(err) == noAnswer)
}

// Permanent reports whether a retry is pointless until a person changes the configuration, the rights or the request.
func Permanent(err error) bool {
	return Denied(err) || errors.Is(err, ErrClientClosed) ||
		Is(err, Ydb.StatusIds_BAD_REQUEST, Ydb.StatusIds_SCHEME_ERROR, Ydb.StatusIds_PRECONDITION_FAILED,
			Ydb.StatusIds_UNSUPPORTED) ||
		isTransport(err, codes.InvalidArgument, codes.Unimplemented)
}

func isTransport(err error, of ...codes.Code) bool {
	transport, ok := errors.AsType[transportError](err)

	return ok && slices.Contains(of, transport.GRPCStatus().Code())
}

// Wrap returns an error that unwraps to err. Its text consists of doing, a colon and the [Text] of err.
func Wrap(doing string, err error) error { return Because(doing+": "+Text(err), err) }

// Because returns an error with this text that unwraps to err.
func Because(text string, err error) error { return &wrapped{text: text, err: err} }

type wrapped struct {
	text string
	err  error
}

func (w *wrapped) Error() string { return w.text }
func (w *wrapped) Unwrap() error { return w.err }

// Text returns a readable description of err: the results of [Said] and of [Hint].
func Text(err error) string { return Said(err) + Hint(err) }

// Said returns a readable description of err. For an answer of the server, it is the status and the issues. For a
// transport error, it is the message. For any other error of ydb-go-sdk, it is the text without the positions in source
// files.
func Said(err error) string {
	if operation, ok := errors.AsType[operationError](err); ok {
		return operationText(operation)
	}
	if transport, ok := errors.AsType[transportError](err); ok {
		return transportText(transport)
	}
	text, _, _ := strings.Cut(err.Error(), " at `")

	return text
}

// Hint returns the end of a text about err, which says what to do if the server has refused the caller. For any other
// error, it returns "".
func Hint(err error) string {
	switch {
	case !Denied(err):
		return ""
	case Answered(err): // the caller may lack a right only
		return ": check the credentials, their rights and the path"
	}

	return ": check the credentials"
}

func operationText(err operationError) string {
	if NoNode(err) { // "Kesus" is YDB's internal name of a node
		return "the node does not exist"
	}
	text := Ydb.StatusIds_StatusCode(err.Code()).String()
	if said := issueTexts(err.Issues()); said != "" {
		text += " (" + said + ")"
	}

	return text
}

// transportText uses the message of the innermost error, because each outer error repeats it and adds to it. It removes
// the prefixes of gRPC, and the local address, whose port differs between attempts.
func transportText(err transportError) string {
	for {
		inner, ok := errors.AsType[transportError](errors.Unwrap(err))
		if !ok {
			break
		}
		err = inner
	}
	text := err.GRPCStatus().Message()
	if _, found, ok := strings.Cut(text, `connection error: desc = "`); ok {
		text = strings.TrimSuffix(found, `"`)
	}
	text = strings.TrimPrefix(text, "transport: ")
	text = strings.TrimPrefix(text, "Error while dialing: ")
	text = strings.TrimPrefix(text, "error reading from server: ")
	switch {
	case silence(text):
		return noAnswer
	case strings.HasPrefix(text, noPreface):
		return "not a gRPC server, or one that expects TLS (grpcs://)"
	}

	return localEnd.ReplaceAllString(text, "$1")
}

const (
	noAnswer  = "no answer"
	noPreface = "error reading server preface: "
)

// localEnd matches the local address in errors such as "read tcp 127.0.0.1:53412->127.0.0.1:2136: ...".
var localEnd = regexp.MustCompile(`(\btcp )\S+->`)

// silence reports whether the text of a transport error means that the server did not answer on a connection.
func silence(text string) bool {
	return strings.Contains(text, "keepalive ping failed") || strings.HasPrefix(text, noPreface) &&
		(strings.Contains(text, "use of closed network connection") || strings.Contains(text, "i/o timeout"))
}

func issueTexts(issues []*Ydb_Issue.IssueMessage) string {
	var texts []string
	for _, issue := range issues {
		text := issue.GetMessage()
		if below := issueTexts(issue.GetIssues()); below != "" {
			text += ": " + below
		}
		texts = append(texts, text)
	}

	return strings.Join(texts, "; ")
}
