// Package ydberr reads the errors of coordination clients: what the server said, and whether asking again can help.
//
// The errors of ydb-go-sdk are of types that it keeps to itself, so they are asked for what they can do; an error of
// another client that has the same methods is read the same way.
package ydberr

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type (
	// An operationError says how the server answered.
	operationError interface {
		error
		Code() int32 // a Ydb.StatusIds_StatusCode
		Issues() []*Ydb_Issue.IssueMessage
	}
	// A transportError says why there was no answer.
	transportError interface {
		error
		GRPCStatus() *status.Status
	}
)

// Answered reports whether err is a server's answer.
func Answered(err error) bool {
	_, ok := errors.AsType[operationError](err)

	return ok
}

// Is reports whether err is a server's answer with one of the codes.
func Is(err error, of ...Ydb.StatusIds_StatusCode) bool {
	operation, ok := errors.AsType[operationError](err)

	return ok && slices.Contains(of, Ydb.StatusIds_StatusCode(operation.Code()))
}

// NoNode reports whether err is a server's answer that there is no coordination node, or nothing at all, at a path (A3,
// N4). NOT_FOUND may also be about a semaphore, and SCHEME_ERROR about a path that is not a node.
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

// Denied reports whether err says that the caller may not do what it asked for.
func Denied(err error) bool {
	return Is(err, Ydb.StatusIds_UNAUTHORIZED) || isTransport(err, codes.Unauthenticated, codes.PermissionDenied)
}

// Unreachable reports whether err says that there is no connection to the server.
func Unreachable(err error) bool { return isTransport(err, codes.Unavailable) && !Silent(err) }

// Silent reports whether err says that there is a connection, and no answer on it.
func Silent(err error) bool {
	transport, ok := errors.AsType[transportError](err)

	return ok && (transport.GRPCStatus().Code() == codes.DeadlineExceeded || Text(err) == noAnswer)
}

// Permanent reports whether the same request can only get the same answer, until people change something.
func Permanent(err error) bool {
	return Denied(err) ||
		Is(err, Ydb.StatusIds_BAD_REQUEST, Ydb.StatusIds_SCHEME_ERROR, Ydb.StatusIds_PRECONDITION_FAILED,
			Ydb.StatusIds_UNSUPPORTED) ||
		isTransport(err, codes.InvalidArgument, codes.Unimplemented)
}

func isTransport(err error, of ...codes.Code) bool {
	transport, ok := errors.AsType[transportError](err)

	return ok && slices.Contains(of, transport.GRPCStatus().Code())
}

// Wrap returns an error whose text is doing, a colon and the [Text] of err. It unwraps to err.
func Wrap(doing string, err error) error { return Because(doing+": "+Text(err), err) }

// Because returns an error with the text. It unwraps to err.
func Because(text string, err error) error { return &wrapped{text: text, err: err} }

type wrapped struct {
	text string
	err  error
}

func (w *wrapped) Error() string { return w.text }
func (w *wrapped) Unwrap() error { return w.err }

// Text returns what err says, in words for people: of the server's answer the status and the issues, of a transport's
// error its message, of any other error of ydb-go-sdk all but the places in source files.
func Text(err error) string {
	if operation, ok := errors.AsType[operationError](err); ok {
		return operationText(operation)
	}
	if transport, ok := errors.AsType[transportError](err); ok {
		return transportText(transport)
	}
	text, _, _ := strings.Cut(err.Error(), " at `")

	return text
}

func operationText(err operationError) string {
	if NoNode(err) { // "Kesus" is YDB's internal name of a node
		return "the node does not exist"
	}
	text := Ydb.StatusIds_StatusCode(err.Code()).String()
	if said := issueTexts(err.Issues()); said != "" {
		text += " (" + said + ")"
	}
	if Denied(err) {
		text += ": check the credentials and their rights"
	}

	return text
}

// transportText uses the innermost error's message, since each of the outer ones repeats it with more around it. From
// that it removes how gRPC came to it, and the port of this end, which differs between attempts.
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

// localEnd matches the address of this end in errors such as "read tcp 127.0.0.1:53412->127.0.0.1:2136: ...".
var localEnd = regexp.MustCompile(`(\btcp )\S+->`)

// silence reports whether the text of a transport's error says that the server did not answer on a connection.
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
