package tenure

import (
	"context"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/retry"
	"github.com/ydb-platform/ydb-go-sdk/v3/scheme"
	"google.golang.org/protobuf/proto"

	"tenure/internal/ydberr"
)

// nodeClient makes the calls that create, alter, drop and describe nodes. The SDK's coordination client is one.
type nodeClient interface {
	CreateNode(ctx context.Context, path string, config coordination.NodeConfig) error
	AlterNode(ctx context.Context, path string, config coordination.NodeConfig) error
	DropNode(ctx context.Context, path string) error
	DescribeNode(ctx context.Context, path string) (*scheme.Entry, *coordination.NodeConfig, error)
}

// directNodes is a nodeClient for a connection that no driver of the SDK manages. It behaves as the SDK's client does,
// and returns the same errors.
type directNodes struct {
	stub Ydb_Coordination_V1.CoordinationServiceClient
}

func (d directNodes) CreateNode(ctx context.Context, path string, config coordination.NodeConfig) error {
	return unary(ctx, nil, func(ctx context.Context) (operationAnswer, error) {
		return d.stub.CreateNode(ctx, &pb.CreateNodeRequest{Path: path, Config: nodeSettings(config)})
	})
}

func (d directNodes) AlterNode(ctx context.Context, path string, config coordination.NodeConfig) error {
	return unary(ctx, nil, func(ctx context.Context) (operationAnswer, error) {
		return d.stub.AlterNode(ctx, &pb.AlterNodeRequest{Path: path, Config: nodeSettings(config)})
	})
}

func (d directNodes) DropNode(ctx context.Context, path string) error {
	return unary(ctx, nil, func(ctx context.Context) (operationAnswer, error) {
		return d.stub.DropNode(ctx, &pb.DropNodeRequest{Path: path})
	})
}

func (d directNodes) DescribeNode(
	ctx context.Context, path string,
) (*scheme.Entry, *coordination.NodeConfig, error) {
	var result pb.DescribeNodeResult
	err := unary(ctx, &result, func(ctx context.Context) (operationAnswer, error) {
		return d.stub.DescribeNode(ctx, &pb.DescribeNodeRequest{Path: path})
	})
	if err != nil {
		return nil, nil, err
	}
	config := result.GetConfig()

	return scheme.InnerConvertEntry(result.GetSelf()), &coordination.NodeConfig{
		Path:                     config.GetPath(),
		SelfCheckPeriodMillis:    config.GetSelfCheckPeriodMillis(),
		SessionGracePeriodMillis: config.GetSessionGracePeriodMillis(),
		ReadConsistencyMode:      modeOf(config.GetReadConsistencyMode()),
		AttachConsistencyMode:    modeOf(config.GetAttachConsistencyMode()),
		RatelimiterCountersMode:  countersOf(config.GetRateLimiterCountersMode()),
	}, nil
}

// operationAnswer is the answer to a unary call.
type operationAnswer interface {
	GetOperation() *Ydb_Operations.Operation
}

// unary makes a call, and makes it again after a transient failure until ctx ends. That is safe because all calls about
// nodes are idempotent. It stores the result of the call in result, unless result is nil.
func unary(ctx context.Context, result proto.Message, call func(context.Context) (operationAnswer, error)) error {
	return retry.Retry(ctx, func(ctx context.Context) error {
		answer, err := call(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case ydberr.Unreachable(err), ydberr.Interrupted(err):
			return retry.RetryableError(err, retry.WithBackoff(retry.TypeFastBackoff))
		case ydberr.Busy(err):
			return retry.RetryableError(err, retry.WithBackoff(retry.TypeSlowBackoff))
		case err != nil:
			return err
		}
		op := answer.GetOperation()
		if op.GetStatus() != Ydb.StatusIds_SUCCESS {
			return sdkError(op.GetStatus(), op.GetIssues())
		}
		if result == nil {
			return nil
		}

		return op.GetResult().UnmarshalTo(result)
	}, retry.WithIdempotent(true))
}

func nodeSettings(c coordination.NodeConfig) *pb.Config {
	return &pb.Config{
		Path:                     c.Path,
		SelfCheckPeriodMillis:    c.SelfCheckPeriodMillis,
		SessionGracePeriodMillis: c.SessionGracePeriodMillis,
		ReadConsistencyMode:      c.ReadConsistencyMode.To(),
		AttachConsistencyMode:    c.AttachConsistencyMode.To(),
		RateLimiterCountersMode:  c.RatelimiterCountersMode.To(),
	}
}

func modeOf(m pb.ConsistencyMode) coordination.ConsistencyMode {
	switch m {
	case pb.ConsistencyMode_CONSISTENCY_MODE_STRICT:
		return coordination.ConsistencyModeStrict
	case pb.ConsistencyMode_CONSISTENCY_MODE_RELAXED:
		return coordination.ConsistencyModeRelaxed
	default:
		return coordination.ConsistencyModeUnset
	}
}

func countersOf(m pb.RateLimiterCountersMode) coordination.RatelimiterCountersMode {
	switch m {
	case pb.RateLimiterCountersMode_RATE_LIMITER_COUNTERS_MODE_AGGREGATED:
		return coordination.RatelimiterCountersModeAggregated
	case pb.RateLimiterCountersMode_RATE_LIMITER_COUNTERS_MODE_DETAILED:
		return coordination.RatelimiterCountersModeDetailed
	default:
		return coordination.RatelimiterCountersModeUnset
	}
}
