package tenure_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

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
