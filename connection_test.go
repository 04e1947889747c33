package tenure_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/config"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"google.golang.org/grpc"

	"tenure"
	"tenure/internal/relaytest"
	"tenure/tenuretest"
)

// A client sends its requests and nothing else, so there are half as many packets as with gRPC's own pings.
func TestOpen_NoPings(t *testing.T) {
	t.Parallel()
	srv := tenuretest.NewServer(t)
	var sent relaytest.Frames
	c, err := tenure.Open(t.Context(), srv.DSN(), tenure.WithDriverOptions(ydb.With(
		config.WithGrpcOptions(grpc.WithContextDialer(sent.Dial)))))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) }) //nolint:usetesting // the test's context has ended
	require.NoError(t, c.CreateNode(t.Context(), path, coordination.NodeConfig{}))
	s, err := c.Session(t.Context(), path)
	require.NoError(t, err)

	const requests = 50
	for i := range requests {
		require.NoError(t, s.CreateSemaphore(t.Context(), fmt.Sprint(i), 1))
	}

	require.GreaterOrEqual(t, sent.Data.Load(), int64(requests))
	require.Zero(t, sent.Pings.Load(), "pings, beside %d frames with data", sent.Data.Load())
}
