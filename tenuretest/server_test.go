package tenuretest_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"go.uber.org/goleak"

	"tenure"
	"tenure/internal/access"
	"tenure/server"
	"tenure/tenuretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const path = "/local/test"

// client opens a driver of ydb-go-sdk on the server and creates the node.
func client(t *testing.T, srv *tenuretest.Server) coordination.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	db, err := ydb.Open(ctx, srv.DSN(), ydb.WithAnonymousCredentials())
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close(context.WithoutCancel(t.Context())) })
	require.NoError(t, db.Coordination().CreateNode(ctx, path, coordination.NodeConfig{}))

	return db.Coordination()
}

func acquire(t *testing.T, c coordination.Client) (coordination.Session, coordination.Lease) {
	t.Helper()
	s, err := c.Session(t.Context(), path, options.WithSessionTimeout(30*time.Second),
		options.WithSessionReconnectDelay(10*time.Millisecond))
	require.NoError(t, err)
	lease, err := s.AcquireSemaphore(t.Context(), "job", coordination.Exclusive, options.WithEphemeral(true))
	require.NoError(t, err)

	return s, lease
}

// A lease survives broken connections, a clean restart and a crash. Its session stays the same.
func TestServer_FaultsKeepLeases(t *testing.T) {
	faults := map[string]func(*tenuretest.Server){
		"streams dropped": (*tenuretest.Server).DropStreams,
		"restart":         (*tenuretest.Server).Restart,
		"crash":           func(s *tenuretest.Server) { s.Kill(); s.Restart() },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			srv := tenuretest.NewServer(t)
			s, lease := acquire(t, client(t, srv))
			id, dsn := s.SessionID(), srv.DSN()
			fault(srv)
			require.Equal(t, dsn, srv.DSN())

			d, err := s.DescribeSemaphore(t.Context(), "job", options.WithDescribeOwners(true))
			require.NoError(t, err)
			require.Len(t, d.Owners, 1)
			require.Equal(t, id, d.Owners[0].SessionID)
			require.NoError(t, lease.Context().Err())
			require.NoError(t, lease.Release())
			require.NoError(t, s.Close(t.Context()))
		})
	}
}

// Stop, Kill and Restart may be called in any order, and repeatedly.
func TestServer_StopsTwice(t *testing.T) {
	srv := tenuretest.NewServer(t)
	srv.Stop()
	srv.Stop()
	srv.Kill()
	srv.Restart()
	srv.Restart()
	client(t, srv)
}

// BenchmarkNewServer measures the time that a test needs to start and stop a server.
func BenchmarkNewServer(b *testing.B) {
	for b.Loop() {
		tenuretest.NewServer(b).Stop()
	}
}

// A client uses the options that its caller gives for the driver. So a test can have users.
func TestServer_ClientOptions(t *testing.T) {
	ann, hash := access.NewToken()
	file := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(file, []byte("user ann token="+hash+"\ngrant all /db full\n"), 0o600))
	srv := tenuretest.NewServer(t, server.WithTokensFile(file), server.WithDatabase("/db"))
	require.Equal(t, "/db", srv.Database())

	c, err := srv.NewClient(t.Context(), tenure.WithDriverOptions(ydb.WithAccessTokenCredentials(ann)))
	require.NoError(t, err)
	require.NoError(t, c.CreateNode(t.Context(), "/db/test", coordination.NodeConfig{}))
	require.NoError(t, c.Close(t.Context()))
	nobody, err := srv.NewClient(t.Context())
	require.NoError(t, err)
	require.ErrorContains(t, nobody.CreateNode(t.Context(), "/db/test", coordination.NodeConfig{}), "without user token")
}
