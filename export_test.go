package tenure

import (
	"context"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"google.golang.org/grpc"

	"tenure/internal/clientconfig"
	"tenure/internal/clock"
	"tenure/internal/session"
)

// NewClient returns a client that uses the test's connection and clock.
func NewClient(nodes coordination.Client, conn grpc.ClientConnInterface, clk clock.Clock, opts ...Option) *Client {
	cfg := clientconfig.New(opts)
	cfg.Clock = clk

	return newClient(nodes, conn, cfg)
}

// NewStatusError returns the error for a refusal by the server.
func NewStatusError(op, object string, code Ydb.StatusIds_StatusCode, issues []*Ydb_Issue.IssueMessage) error {
	return newStatusError(op, object, &session.StatusError{Status: code, Issues: issues})
}

// CreateNodeThrough creates a node through the stub of a connection that no driver of the SDK manages.
func CreateNodeThrough(
	ctx context.Context, stub Ydb_Coordination_V1.CoordinationServiceClient, path string,
) error {
	return directNodes{stub}.CreateNode(ctx, path, coordination.NodeConfig{})
}
