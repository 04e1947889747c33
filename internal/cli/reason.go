package cli

import (
	"errors"
	"strings"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"google.golang.org/grpc/status"
)

// Reason returns err in words for people: of an error of ydb-go-sdk the status and the issues, without codes, addresses
// and places in source files.
func Reason(err error) string {
	if operation, ok := errors.AsType[operationError](err); ok {
		return replaceTail(err, operation, operationText(operation.Code(), operation.Issues()))
	}
	if transport, ok := errors.AsType[transportError](err); ok {
		return replaceTail(err, transport, transport.GRPCStatus().Message())
	}

	return err.Error()
}

// What the SDK's errors, whose types it keeps to itself, can be asked.
type (
	operationError interface {
		error
		Code() int32 // a Ydb.StatusIds_StatusCode
		Issues() []*Ydb_Issue.IssueMessage
	}
	transportError interface {
		error
		GRPCStatus() *status.Status
	}
)

// replaceTail returns the text of err with that of its cause, and whatever the SDK put around it, replaced.
func replaceTail(err, cause error, text string) string {
	before, _, found := strings.Cut(err.Error(), cause.Error())
	if !found {
		return text
	}

	return before + text
}

func operationText(code int32, issues []*Ydb_Issue.IssueMessage) string {
	text := Ydb.StatusIds_StatusCode(code).String()
	if said := issueTexts(issues); said != "" {
		text += " (" + said + ")"
	}

	return text
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
