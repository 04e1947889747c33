package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"

	"tenure"
	"tenure/internal/node"
	"tenure/internal/term"
	"tenure/lock"
)

// LossCause returns the value of the label "cause" of metrics that count lost leases.
func LossCause(cause error) string {
	switch {
	case errors.Is(cause, tenure.ErrSemaphoreDeleted):
		return "deleted"
	case errors.Is(cause, tenure.ErrSessionExpired):
		return "expired"
	}

	return "no_answer"
}

// LossText returns the cause of a lost lease for people. If the server has ended the session, it says who may have done
// that, and where to find out.
func LossText(cause error) string {
	if named, ok := cause.(*term.Named); ok { //nolint:errorlint // an error that wraps a Named has a text of its own
		return (&term.Named{What: named.What, Name: named.Name, Err: errors.New(LossText(named.Err))}).Error()
	}
	text := cause.Error()
	answer, answered := errors.AsType[*tenure.StatusError](cause)
	if !answered || answer.Status != Ydb.StatusIds_SESSION_EXPIRED {
		return text
	}
	why := "the server no longer has the session: an operator has ended it, its timeout has passed, or the server has " +
		"lost its data: the log and the audit log of the server show a session that was ended by hand"
	if slices.ContainsFunc(answer.Issues, func(i *Ydb_Issue.IssueMessage) bool {
		return i.GetMessage() == node.EndedByOperator
	}) {
		why = "an operator has ended the session: the log and the audit log of the server show who"
	}
	if strings.HasPrefix(text, lock.ErrLost.Error()) {
		why = lock.ErrLost.Error() + ": " + why
	}

	return why
}
