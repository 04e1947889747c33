package tenure_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"tenure"
	"tenure/tenuretest"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = lis.Close() })

	return lis
}

// Open refuses an invalid address immediately. An empty address does not stand for any server.
func TestOpen_Address(t *testing.T) {
	for dsn, want := range map[string]string{
		"": "the DSN is empty: pass tenure.Embedded to use the embedded server, or grpc://host:port/database",
		"http://127.0.0.1:1/local": `the DSN="http://127.0.0.1:1/local" does not begin with grpc://, grpcs:// or unix://: ` +
			"write grpc://host:port/database, for example grpc://localhost:2136/local",
	} {
		_, err := tenure.Open(t.Context(), dsn)
		require.EqualError(t, err, want)
	}
}

// If there is no server at the address, Open fails immediately, even though its context has no deadline.
func TestOpen_NoServer(t *testing.T) {
	lis := listen(t)
	require.NoError(t, lis.Close())
	began := time.Now()
	_, err := tenure.Open(t.Context(), "grpc://"+lis.Addr().String()+"/local")
	require.EqualError(t, err, "no server at "+lis.Addr().String()+
		` (connection refused): start one with "tenure serve", or check the DSN`)
	require.Less(t, time.Since(began), 9*time.Second)
}

// WithConnectTimeout limits how long Open waits for a server that accepts connections and sends nothing.
func TestOpen_ConnectTimeout(t *testing.T) {
	lis := listen(t) // the kernel accepts
	_, err := tenure.Open(t.Context(), "grpc://"+lis.Addr().String()+"/local",
		tenure.WithConnectTimeout(3*time.Second), nil)
	require.EqualError(t, err, "no answer from "+lis.Addr().String()+
		" within 3s: it accepts connections but sends nothing: check that the server is not stopped or overloaded, and the "+
		"port in the DSN")
}

// Options of the driver override those of the client.
func TestOpen_DriverOptions(t *testing.T) {
	tickets := make(chan []string, 1)
	srv := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		tickets <- md.Get("x-ydb-auth-ticket")

		return status.Error(codes.Unauthenticated, "Token is expired")
	}))
	lis := listen(t)
	go func() { _ = srv.Serve(lis) }()
	defer srv.Stop()
	_, err := tenure.Open(t.Context(), "grpc://"+lis.Addr().String()+"/local",
		tenure.WithDriverOptions(nil, ydb.WithAccessTokenCredentials("a token")))
	require.EqualError(t, err, "the server at "+lis.Addr().String()+" refuses the credentials (Token is expired): "+
		"check ydb.WithAccessTokenCredentials or ydb.WithStaticCredentials")
	require.Equal(t, []string{"a token"}, <-tickets)
}

// WithConnectTimeout applies to the embedded server as well. The error names the process that does not serve.
func TestOpen_EmbeddedConnectTimeout(t *testing.T) {
	dir := stateDir(t)
	occupied := occupy(t, dir)
	defer occupied.Close()
	_, err := tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(dir),
		tenure.WithConnectTimeout(2*time.Second)) // a pause of the machine must not take all of it
	require.ErrorContains(t, err, "no answer within 2s: waiting for process ")
	require.ErrorContains(t, err, dir)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = tenure.Open(ctx, tenure.Embedded, tenure.WithDir(dir), tenure.WithConnectTimeout(-1))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "waiting for process ")
}

// Errors about a missing node are one line that names the node, without the server's internal words and the SDK's
// positions in source files. The SDK's checks still work on them.
func TestClient_MissingNode(t *testing.T) {
	srv := tenuretest.NewServer(t)
	c, err := tenure.Open(t.Context(), srv.DSN())
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close(t.Context())) }()

	_, err = c.Session(t.Context(), "/local/none")
	require.EqualError(t, err, `open session on node "/local/none": the node does not exist`)
	require.True(t, ydb.IsOperationErrorNotFoundError(err))
	err = c.DropNode(t.Context(), "/local/none")
	require.EqualError(t, err, `drop node "/local/none": the node does not exist`)
	require.True(t, ydb.IsOperationErrorSchemeError(err))
	_, _, err = c.DescribeNode(t.Context(), "/local/none")
	require.EqualError(t, err, `describe node "/local/none": the node does not exist`)
	err = c.AlterNode(t.Context(), "/local/none", coordination.NodeConfig{})
	require.EqualError(t, err, `alter node "/local/none": the node does not exist`)
	err = c.CreateNode(t.Context(), "/other/x", coordination.NodeConfig{})
	require.EqualError(t, err,
		`create node "/other/x": BAD_REQUEST (path "/other/x" is outside the database "/local")`)
}
