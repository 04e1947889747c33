package tenuretest_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure/tenuretest"
)

// concurrently calls each function many times, at the same time as the others.
func concurrently(calls ...func()) {
	var running sync.WaitGroup
	for _, call := range calls {
		running.Go(func() {
			for range 300 {
				call()
			}
		})
	}
	running.Wait()
}

// Of several calls of Restart at the same time, each finds a running server at its end, and none fails.
func TestServer_ConcurrentRestart(t *testing.T) {
	srv := tenuretest.NewServer(t)
	concurrently(srv.Restart, srv.Restart, srv.Restart, srv.Restart)
	require.NoError(t, srv.Client(t).CreateNode(t.Context(), node, coordination.NodeConfig{}))
}

// A server that is stopped while it is asked does not fail the test.
func TestServer_StopDuringQuestions(t *testing.T) {
	srv := tenuretest.NewServer(t)
	client := srv.Client(t)
	for i := range 20 {
		require.NoError(t, client.CreateNode(t.Context(), node+strconv.Itoa(i), coordination.NodeConfig{}))
	}
	expire := func() { srv.ExpireSessions() }
	concurrently(srv.Restart, expire, expire, func() { srv.Holder("job") })
}

// Close of a client that is cut off returns when its context ends, and so does a Close that follows.
func TestServer_CloseDuringPartition(t *testing.T) {
	srv := tenuretest.NewServer(t)
	cut := func() time.Duration {
		client := srv.Client(t)
		require.NoError(t, client.CreateNode(t.Context(), node, coordination.NodeConfig{}))
		_, err := client.Session(t.Context(), node, options.WithSessionTimeout(timeout))
		require.NoError(t, err)
		srv.Partition(client)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		require.ErrorIs(t, client.Close(ctx), context.Canceled)

		return time.Since(began)
	}
	const short = 900 * time.Millisecond // gRPC waits for a second, each time, for a Read that does not end
	took := cut()
	for attempts := 1; took >= short && attempts < 5; attempts++ { // the machine may be busy
		took = cut()
	}
	require.Less(t, took, short)
}
