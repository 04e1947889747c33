package cli_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"

	"tenure"
	"tenure/internal/cli"
	"tenure/internal/node"
	"tenure/internal/term"
	"tenure/lock"
)

// People read who has ended the session, or that this is not known and where to look.
func TestLossText(t *testing.T) {
	t.Parallel()
	lost := func(status Ydb.StatusIds_StatusCode, issue string) error {
		return fmt.Errorf("%w: %w: %w", lock.ErrLost, tenure.ErrSessionExpired, &tenure.StatusError{
			Operation: "attach to node", Object: "/local/tenure", Status: status,
			Issues: []*Ydb_Issue.IssueMessage{{Message: issue}},
		})
	}
	require.Equal(t, "lease lost: an operator has ended the session: the log and the audit log of the server show who",
		cli.LossText(lost(Ydb.StatusIds_SESSION_EXPIRED, node.EndedByOperator)))
	require.Equal(t,
		`lock "a": lease lost: an operator has ended the session: the log and the audit log of the server show who`,
		cli.LossText(&term.Named{What: "lock", Name: "a", Err: lost(Ydb.StatusIds_SESSION_EXPIRED, node.EndedByOperator)}))
	unknown := cli.LossText(lost(Ydb.StatusIds_SESSION_EXPIRED, "Session does not exist"))
	require.Contains(t, unknown, "lease lost: the server no longer has the session: an operator has ended it, ")
	require.Contains(t, unknown, "the log and the audit log of the server show")
	for _, other := range []error{
		tenure.ErrDeadlinePassed, tenure.ErrSemaphoreDeleted, lost(Ydb.StatusIds_NOT_FOUND, "Kesus not found"),
	} {
		require.Equal(t, other.Error(), cli.LossText(other))
	}
}
