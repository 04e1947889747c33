//go:build !race

package tenure_test

import (
	"context"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/config"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"tenure"
	"tenure/internal/serverconfig"
	"tenure/internal/store/memstore"
	"tenure/server"
)

// A client opens thousands of sessions at once on a machine with too little processor time. Few attempts are given up,
// because the client and the server would have to do the work of each attempt again. Without limits, the client makes
// ten times as many attempts as it has sessions, and more and more of them fail. The race detector would multiply the
// processor time, so the gate runs this test without it.
func TestClient_ThousandsOfSessions(t *testing.T) { //nolint:paralleltest // it changes the number of processors
	const sessions = 2_000
	records, err := (&memstore.Disk{}).Open()
	require.NoError(t, err)
	srv, err := server.New(func(c *serverconfig.Config) { c.Store = records })
	require.NoError(t, err)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serving := make(chan error, 1)
	go func() { serving <- srv.Serve(lis) }()
	var attempts atomic.Int64
	count := func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string,
		streamer grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		attempts.Add(1)

		return streamer(ctx, desc, conn, method, opts...)
	}
	c, err := tenure.Open(t.Context(), "grpc://"+lis.Addr().String()+"/local", tenure.WithDriverOptions(
		ydb.With(config.WithGrpcOptions(grpc.WithChainStreamInterceptor(count)))))
	require.NoError(t, err)
	require.NoError(t, c.CreateNode(t.Context(), "/local/node", coordination.NodeConfig{}))

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var enough atomic.Bool
	for range 3 { // three quarters of the processor are busy with something else
		go func() {
			for !enough.Load() {
			}
		}()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var opening errgroup.Group
	for range sessions {
		opening.Go(func() error {
			_, err := c.Session(ctx, "/local/node", options.WithSessionTimeout(time.Minute))

			return err
		})
	}
	err = opening.Wait()
	enough.Store(true)
	require.NoError(t, err)
	require.Less(t, attempts.Load(), int64(2*sessions))

	ended, end := context.WithCancel(t.Context())
	end()
	_ = c.Close(ended) // without asking the server to end each session
	stopping, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	require.NoError(t, srv.Stop(stopping))
	require.NoError(t, <-serving)
}
