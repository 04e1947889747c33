package tenure_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Operations"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure"
	"tenure/tenuretest"
)

// Calls about nodes do not go through the SDK's driver if the server is the embedded one. They have the same results
// and errors as with the driver.
func TestEmbedded_NodesLikeAnyServer(t *testing.T) {
	t.Parallel()
	type outcome struct {
		Name, Owner, Text string
		Config            coordination.NodeConfig
		Code              int32 // 0: not an answer of the server
		Canceled          bool
	}
	outcomes := func(c *tenure.Client) (all []outcome) {
		const path = "/local/directory/node"
		did := func(err error) {
			o := outcome{Canceled: errors.Is(err, context.Canceled)}
			if err != nil {
				o.Text = err.Error()
			}
			if ydb.IsOperationError(err) {
				o.Code = ydb.OperationError(err).Code()
			}
			all = append(all, o)
		}
		look := func(ctx context.Context) {
			entry, config, err := c.DescribeNode(ctx, path)
			did(err)
			if err == nil {
				all = append(all, outcome{Name: entry.Name, Owner: entry.Owner, Config: *config})
			}
		}
		look(t.Context())
		did(c.CreateNode(t.Context(), path, coordination.NodeConfig{
			SelfCheckPeriodMillis: 1500, SessionGracePeriodMillis: 12000,
			ReadConsistencyMode:     coordination.ConsistencyModeStrict,
			AttachConsistencyMode:   coordination.ConsistencyModeRelaxed,
			RatelimiterCountersMode: coordination.RatelimiterCountersModeDetailed,
		}))
		look(t.Context())
		did(c.AlterNode(t.Context(), path, coordination.NodeConfig{
			SessionGracePeriodMillis: 13000,
			ReadConsistencyMode:      coordination.ConsistencyModeRelaxed,
			AttachConsistencyMode:    coordination.ConsistencyModeStrict,
			RatelimiterCountersMode:  coordination.RatelimiterCountersModeAggregated,
		}))
		look(t.Context())
		did(c.CreateNode(t.Context(), "/local/directory", coordination.NodeConfig{}))
		did(c.CreateNode(t.Context(), "/elsewhere/node", coordination.NodeConfig{}))
		did(c.DropNode(t.Context(), path))
		did(c.DropNode(t.Context(), path))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		look(ended)

		return all
	}

	require.Equal(t, outcomes(newClient(t, tenuretest.NewServer(t).DSN())),
		outcomes(newClient(t, tenure.Embedded, tenure.WithDir(stateDir(t)))))
}

// A call that the server did not carry out is made again, as the SDK's driver does.
func TestEmbedded_NodesAgain(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{codes.Unavailable, codes.Canceled, codes.ResourceExhausted} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			stub := &refusing{err: status.Error(code, "not now")}
			require.NoError(t, tenure.CreateNodeThrough(t.Context(), stub, "/local/node"))
			require.Equal(t, 2, stub.calls)
		})
	}
	stub := &refusing{err: status.Error(codes.Internal, "internal error")}
	require.ErrorContains(t, tenure.CreateNodeThrough(t.Context(), stub, "/local/node"), "internal error")
	require.Equal(t, 1, stub.calls)
}

// refusing refuses its first call.
type refusing struct {
	Ydb_Coordination_V1.CoordinationServiceClient

	err   error
	calls int
}

func (r *refusing) CreateNode(
	context.Context, *pb.CreateNodeRequest, ...grpc.CallOption,
) (*pb.CreateNodeResponse, error) {
	if r.calls++; r.calls == 1 {
		return nil, r.err
	}

	return &pb.CreateNodeResponse{
		Operation: &Ydb_Operations.Operation{Ready: true, Status: Ydb.StatusIds_SUCCESS},
	}, nil
}
