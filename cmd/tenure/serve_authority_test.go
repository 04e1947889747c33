package main

import (
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/certs/certtest"
	"tenure/internal/filewatch"
	"tenure/internal/programs/programstest"
)

// The streams of clients end when the authority that has signed their certificates is removed, and so do their calls on
// connections from before.
func TestServe_RemovesAuthority(t *testing.T) {
	t.Parallel()
	require.Less(t, 2*filewatch.Interval, 5*time.Second, "one look at the authorities, and one at the streams")
	ca, dir := certtest.New(t), t.TempDir()
	kept, removed := certtest.New(t), certtest.New(t)
	cert, key := ca.Issue(t).WriteFiles(t, dir, "server")
	clients := filepath.Join(dir, "clients.pem")
	certtest.Replace(t, clients, slices.Concat(kept.PEM, removed.PEM))
	cmd, addr, stderr := process(t, "serve", "--listen", "127.0.0.1:0", "--memory", "--tls-cert", cert, "--tls-key", key,
		"--tls-client-ca", clients)
	open := func(conn *grpc.ClientConn) Ydb_Coordination_V1.CoordinationService_SessionClient {
		stream, err := Ydb_Coordination_V1.NewCoordinationServiceClient(conn).Session(t.Context())
		require.NoError(t, err)
		require.NoError(t, stream.Send(&Ydb_Coordination.SessionRequest{
			Request: &Ydb_Coordination.SessionRequest_SessionStart_{SessionStart: &Ydb_Coordination.SessionRequest_SessionStart{
				Path: "/local/node", TimeoutMillis: 60_000,
			}},
		}))
		m, err := stream.Recv()
		require.NoError(t, err)
		require.NotZero(t, m.GetSessionStarted().GetSessionId())

		return stream
	}
	good, bad := dial(t, addr, ca, kept.Issue(t)), dial(t, addr, ca, removed.Issue(t))
	createNode(t, Ydb_Coordination_V1.NewCoordinationServiceClient(good), "/local/node")
	stays, ends := open(good), open(bad)

	certtest.Replace(t, clients, kept.PEM)
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	for failed := false; !failed; {
		m, err := ends.Recv()
		require.NoError(t, err)
		if failed = m.GetFailure() != nil; failed {
			require.Equal(t, "Access was withdrawn: the server no longer trusts the authority that signed the caller's "+
				"certificate", m.GetFailure().GetIssues()[0].GetMessage())
		}
	}
	_, err := endpoints(t, bad)
	require.Equal(t, codes.Unauthenticated, status.Code(err))
	_, err = endpoints(t, good)
	require.NoError(t, err)
	require.NoError(t, stays.Send(&Ydb_Coordination.SessionRequest{
		Request: &Ydb_Coordination.SessionRequest_SessionStop_{SessionStop: &Ydb_Coordination.SessionRequest_SessionStop{}},
	}))
	for stopped := false; !stopped; {
		m, err := stays.Recv()
		require.NoError(t, err)
		stopped = m.GetSessionStopped() != nil
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, programstest.Wait(t, cmd))
	require.Contains(t, stderr.String(), "untrusted_certificate")
}
