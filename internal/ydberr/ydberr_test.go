package ydberr_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/ydberr"
)

// An answer is an error with the methods of ydb-go-sdk's errors.
type answer struct {
	code   Ydb.StatusIds_StatusCode
	issues []*Ydb_Issue.IssueMessage
}

func (a *answer) Error() string                     { return "operation/" + a.code.String() + " (code = 1)" }
func (a *answer) Code() int32                       { return int32(a.code) }
func (a *answer) Issues() []*Ydb_Issue.IssueMessage { return a.issues }

// where adds a position in a source file to an error.
func where(err error) error { return fmt.Errorf("%w at `open.go:12`", err) }

func TestText(t *testing.T) {
	t.Parallel()
	issues := []*Ydb_Issue.IssueMessage{
		{Message: "Access denied", Issues: []*Ydb_Issue.IssueMessage{{Message: "no rights"}}},
		{Message: "twice"},
	}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"answer", where(&answer{code: Ydb.StatusIds_SCHEME_ERROR}), "SCHEME_ERROR"},
		{
			"answer with issues", where(&answer{Ydb.StatusIds_BAD_REQUEST, issues}),
			"BAD_REQUEST (Access denied: no rights; twice)",
		},
		{
			"missing rights", where(&answer{code: Ydb.StatusIds_UNAUTHORIZED}),
			"UNAUTHORIZED: check the credentials, their rights and the path",
		},
		{"transport error", where(where(status.Error(codes.Unavailable, "connection refused"))), "connection refused"},
		{
			"connection refused", status.Error(codes.Unavailable, `connection error: desc = "transport: `+
				`dial tcp 127.0.0.1:2136: connect: connection refused"`),
			"dial tcp 127.0.0.1:2136: connect: connection refused",
		},
		{
			"dial error", status.Error(codes.Unavailable, `connection error: desc = "transport: Error while dialing: `+
				`dial tcp 127.0.0.1:2136: connect: connection refused"`),
			"dial tcp 127.0.0.1:2136: connect: connection refused",
		},
		{
			"server never answers", status.Error(codes.Unavailable, `connection error: desc = "error reading server preface: `+
				`raw-read tcp 127.0.0.1:37496->127.0.0.1:2136: use of closed network connection"`), "no answer",
		},
		{
			"server stops answering", status.Error(codes.Unavailable,
				"keepalive ping failed to receive ACK within timeout"), "no answer",
		},
		{
			"not a gRPC server", status.Error(codes.Unavailable, `connection error: desc = "error reading server preface: `+
				`http2: frame too large"`), "not a gRPC server, or one that expects TLS (grpcs://)",
		},
		{
			"broken connection", status.Error(codes.Unavailable,
				"error reading from server: read tcp 127.0.0.1:37496->127.0.0.1:2136: read: connection reset by peer"),
			"read tcp 127.0.0.1:2136: read: connection reset by peer",
		},
		{
			"refused caller", where(status.Error(codes.Unauthenticated, "Token is expired")),
			"Token is expired: check the credentials",
		},
		{"other error", where(errors.New("empty database")), "empty database"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, ydberr.Text(test.err))
			wrapped := ydberr.Wrap("open", test.err)
			require.EqualError(t, wrapped, "open: "+test.want)
			require.ErrorIs(t, wrapped, test.err)
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	silent := status.Error(codes.Unavailable, "keepalive ping failed to receive ACK within timeout")
	require.True(t, ydberr.Unreachable(where(status.Error(codes.Unavailable, "connection refused"))))
	require.False(t, ydberr.Unreachable(where(silent)))
	require.False(t, ydberr.Unreachable(where(&answer{code: Ydb.StatusIds_UNAVAILABLE})))
	require.True(t, ydberr.Silent(where(silent)))
	require.True(t, ydberr.Silent(where(status.Error(codes.DeadlineExceeded, "context deadline exceeded"))))
	require.False(t, ydberr.Silent(where(status.Error(codes.Unavailable, "connection refused"))))
}

func TestPermanent(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&answer{code: Ydb.StatusIds_UNAUTHORIZED},
		&answer{code: Ydb.StatusIds_BAD_REQUEST},
		status.Error(codes.PermissionDenied, ""),
		status.Error(codes.Unimplemented, ""),
		ydberr.ErrClientClosed,
	} {
		require.True(t, ydberr.Permanent(where(err)), err)
	}
	for _, err := range []error{
		&answer{code: Ydb.StatusIds_OVERLOADED},
		&answer{code: Ydb.StatusIds_NOT_FOUND},
		status.Error(codes.Unavailable, ""),
		errors.New("no route to host"),
	} {
		require.False(t, ydberr.Permanent(where(err)), err)
	}
	require.True(t, ydberr.Denied(where(status.Error(codes.Unauthenticated, ""))))
	require.False(t, ydberr.Denied(&answer{code: Ydb.StatusIds_BAD_REQUEST}))
}
