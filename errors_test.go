package tenure_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/tenuretest"
)

var causes = []error{
	tenure.ErrLeaseReleased, tenure.ErrSemaphoreDeleted, tenure.ErrDeadlinePassed, tenure.ErrSessionExpired,
	tenure.ErrSessionClosed,
}

// requireCause requires that the lease has ended because of this sentinel error and none of the others.
func requireCause(t *testing.T, l coordination.Lease, cause error) {
	t.Helper()
	ctx := l.Context()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	for _, c := range causes {
		require.Equal(t, errors.Is(cause, c), errors.Is(context.Cause(ctx), c), "%v", context.Cause(ctx))
	}
}

// Each way in which a lease ends has a separate cause. TestFault, TestStatus and TestClose check the causes that end a
// whole session.
func TestCause_OfLease(t *testing.T) {
	srv := tenuretest.NewServer(t)
	c := open(t, srv)
	s, other := session(t, c), session(t, c)
	require.NoError(t, s.CreateSemaphore(t.Context(), "deleted", 1))
	deleted, err := s.AcquireSemaphore(t.Context(), "deleted", 1)
	require.NoError(t, err)
	released, closed, lost := acquire(t, s, "released"), acquire(t, s, "closed"), acquire(t, other, "lost")

	require.NoError(t, released.Release())
	requireCause(t, released, tenure.ErrLeaseReleased)
	require.NoError(t, other.DeleteSemaphore(t.Context(), "deleted", options.WithForceDelete(true)))
	_, err = deleted.(*tenure.Lease).Token(t.Context())
	require.Error(t, err)
	requireCause(t, deleted, tenure.ErrSemaphoreDeleted)
	require.NoError(t, s.Context().Err())

	require.NoError(t, s.Close(t.Context()))
	requireCause(t, closed, tenure.ErrSessionClosed)
	require.ErrorIs(t, closed.Release(), coordination.ErrSessionClosed)
	requireCause(t, released, tenure.ErrLeaseReleased)

	require.NoError(t, c.DropNode(t.Context(), path))
	<-lost.Context().Done()
	requireCause(t, lost, tenure.ErrSessionExpired)
	require.EqualError(t, context.Cause(lost.Context()),
		`session expired: attach to node "/local/test": the node does not exist`)
	require.True(t, ydb.IsOperationErrorNotFoundError(context.Cause(lost.Context())))
}

// The server does not notify the owner when the semaphore of a lease is deleted. The next renewal finds out.
func TestCause_DeletedIsSeenByRenewal(t *testing.T) {
	inWorld(t, func(w *world) {
		c, _ := w.far()
		s := w.session(c, time.Second)
		require.NoError(w, s.CreateSemaphore(w.Context(), "x", 1))
		l, err := s.AcquireSemaphore(w.Context(), "x", 1)
		require.NoError(w, err)
		held := w.hold(s)
		rival := w.session(w.client(w.direct()), time.Second)
		require.NoError(w, rival.DeleteSemaphore(w.Context(), "x", options.WithForceDelete(true)))
		took, why := w.ends(l.(*tenure.Lease))
		require.LessOrEqual(w, took, 2*time.Second/4, "two leases take turns")
		require.ErrorIs(w, why, tenure.ErrSemaphoreDeleted)
		w.lives(held, 5*time.Second)
		require.NoError(w, l.Release(), "there is nothing to release")
	})
}

// The SDK's functions for its errors give the same results for a StatusError as for an error of the SDK.
func TestStatusError_IsTheSDKs(t *testing.T) {
	for number, name := range Ydb.StatusIds_StatusCode_name {
		code := Ydb.StatusIds_StatusCode(number)
		if code == Ydb.StatusIds_SUCCESS {
			continue
		}
		t.Run(name, func(t *testing.T) {
			issues := []*Ydb_Issue.IssueMessage{
				{Message: "outer", IssueCode: 7, Severity: 1, Issues: []*Ydb_Issue.IssueMessage{{Message: "inner", IssueCode: 8}}},
			}
			err := tenure.NewStatusError("create semaphore", "x", code, issues)
			require.EqualError(t, err, `create semaphore "x": `+name+`: outer`+remedy(code))
			require.True(t, ydb.IsYdbError(err))
			require.True(t, ydb.IsOperationError(err))
			require.False(t, ydb.IsTransportError(err))
			require.NotErrorIs(t, err, context.Canceled)
			for other := range Ydb.StatusIds_StatusCode_name {
				require.Equal(t, other == number, ydb.IsOperationError(err, Ydb.StatusIds_StatusCode(other)))
			}
			require.Equal(t, code == Ydb.StatusIds_NOT_FOUND, ydb.IsOperationErrorNotFoundError(err))
			require.Equal(t, code == Ydb.StatusIds_ALREADY_EXISTS, ydb.IsOperationErrorAlreadyExistsError(err))
			require.Equal(t, code == Ydb.StatusIds_SCHEME_ERROR, ydb.IsOperationErrorSchemeError(err))
			require.Equal(t, code == Ydb.StatusIds_UNAVAILABLE, ydb.IsOperationErrorUnavailable(err))
			require.Equal(t, code == Ydb.StatusIds_OVERLOADED, ydb.IsOperationErrorOverloaded(err))
			sdk := ydb.OperationError(err)
			require.NotNil(t, sdk)
			require.Equal(t, number, sdk.Code())
			require.NotErrorIs(t, sdk, context.Canceled)
			var messages []string
			ydb.IterateByIssues(err, func(message string, _ Ydb.StatusIds_StatusCode, _ uint32) {
				messages = append(messages, message)
			})
			require.Equal(t, []string{"outer", "inner"}, messages)

			refusal, ok := errors.AsType[*tenure.StatusError](err)
			require.True(t, ok)
			require.Equal(t, code, refusal.Status)
			require.Equal(t, "x", refusal.Object)
			require.Equal(t, issues, refusal.Issues)
		})
	}
}

// BenchmarkStatusError shows that building the error does not wait for the SDK's retries, whatever the status.
func BenchmarkStatusError(b *testing.B) {
	for number, name := range Ydb.StatusIds_StatusCode_name {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = tenure.NewStatusError("op", "x", Ydb.StatusIds_StatusCode(number), nil)
			}
		})
	}
}
