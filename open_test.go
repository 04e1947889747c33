package tenure_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"tenure"
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
		"": "dsn is empty: pass tenure.Embedded to use the embedded server, or grpc://host:port/database",
		"http://127.0.0.1:1/local": `dsn="http://127.0.0.1:1/local" does not begin with grpc:// or grpcs://: ` +
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
		` (connection refused): start one with "tenure serve", or check dsn`)
	require.Less(t, time.Since(began), 9*time.Second)
}

// WithConnectTimeout limits how long Open waits for a server that accepts connections and sends nothing.
func TestOpen_ConnectTimeout(t *testing.T) {
	lis := listen(t) // the kernel accepts
	_, err := tenure.Open(t.Context(), "grpc://"+lis.Addr().String()+"/local",
		tenure.WithConnectTimeout(3*time.Second), nil)
	require.EqualError(t, err, "no answer from "+lis.Addr().String()+
		" within 3s: it accepts connections and sends nothing: check the port in dsn")
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
	require.EqualError(t, err, "the server at "+lis.Addr().String()+" refuses the credentials: Token is expired")
	require.Equal(t, []string{"a token"}, <-tickets)
}

// WithConnectTimeout applies to the embedded server as well. The error names the process that does not serve.
func TestOpen_EmbeddedConnectTimeout(t *testing.T) {
	dir := stateDir(t)
	occupied := occupy(t, dir)
	defer occupied.Close()
	_, err := tenure.Open(t.Context(), tenure.Embedded, tenure.WithDir(dir),
		tenure.WithConnectTimeout(200*time.Millisecond))
	require.ErrorContains(t, err, "no answer within 200ms: waiting for process ")
	require.ErrorContains(t, err, dir)

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = tenure.Open(ctx, tenure.Embedded, tenure.WithDir(dir), tenure.WithConnectTimeout(-1))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "waiting for process ")
}
