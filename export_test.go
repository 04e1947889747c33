package tenure

import (
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"

	"tenure/internal/session"
)

// NewClient returns a client on a connection and a clock of the test's.
var NewClient = newClient

// NewStatusError returns the error of a refusal.
func NewStatusError(op, object string, code Ydb.StatusIds_StatusCode, issues []*Ydb_Issue.IssueMessage) error {
	return newStatusError(op, object, &session.StatusError{Status: code, Issues: issues})
}
