package server_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Auth_V1"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Auth"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"tenure/internal/peerkey"
	"tenure/internal/store/storetest"
	"tenure/server"
)

// clusterOf is like cluster, with users. The last file is that of all further servers.
func clusterOf(t *testing.T, n int, files ...*users) []*member {
	t.Helper()
	c := storetest.NewCluster()
	var all []*member
	for len(all) < n {
		u := files[min(len(all), len(files)-1)]
		m := join(t, c, server.WithTokensFile(u.file))
		m.client = Ydb_Coordination_V1.NewCoordinationServiceClient(m.as(u.tokens["root"]))
		if len(all) == 0 {
			m.createNode(t)
			m.attach(t, 0, time.Minute).cancel()
		}
		all = append(all, m)
	}

	return all
}

// The status of a cluster shows which servers have the same users and rights.
func TestFront_RightsDigest(t *testing.T) {
	t.Parallel()
	one, same, other := usersFile(t), usersFile(t), usersFile(t)
	same.tokens = one.tokens
	lines := []string{one.line("root"), "grant root / full", "grant all /local list"}
	one.write(lines...)
	slices.Reverse(lines)
	same.write(append(lines, "# the same")...)
	all := clusterOf(t, 3, one, same, other)
	rights := func(m *member) (found [3]string) {
		st, err := m.server.Status(t.Context())
		require.NoError(t, err)
		require.Len(t, st.Servers, 3)
		for i, of := range all {
			at := slices.IndexFunc(st.Servers, func(s server.MemberStatus) bool { return s.ID == of.store.Self().ID })
			found[i] = st.Servers[at].Rights
		}

		return found
	}
	before := rights(all[2])
	require.Len(t, before[0], 16)
	require.Equal(t, before[0], before[1])
	require.NotEqual(t, before[0], before[2])
	require.Equal(t, before, rights(all[0]), "whichever server is asked")
	one.write(one.line("root"), "grant root / full")
	require.NoError(t, all[0].server.Reload())
	after := rights(all[2])
	require.NotEqual(t, before[0], after[0])
	require.Equal(t, before[1:], after[1:])
}

// A caller has the same rights through any server, and loses them there and where the node is served.
func TestFront_Rights(t *testing.T) {
	t.Parallel()
	files := []*users{usersFile(t), usersFile(t)} // one for each server
	files[1].tokens = files[0].tokens
	files[1].write(files[1].line("root"), "grant root / full")
	u := files[0]
	all := clusterOf(t, 2, files...)
	reload := func(write func(*users), servers ...int) {
		t.Helper()
		for _, i := range servers {
			write(files[i])
			require.NoError(t, all[i].server.Reload())
		}
	}
	grant := func(u *users) { u.granted("ann", all[0].node, "read") }
	reload(grant, 0, 1)
	root := all[1].attachAs(t, u.tokens["root"])
	root.requireAcquired("a")

	for where := range all { // where the access is withdrawn
		ann := all[1].attachAs(t, u.tokens["ann"])
		ann.send(acquireMessage(1, "a", 0))
		require.Equal(t, Ydb.StatusIds_UNAUTHORIZED, ann.recv().GetAcquireSemaphoreResult().GetStatus())
		ann.send(describeMessage(1, "a"))
		require.Equal(t, Ydb.StatusIds_SUCCESS, ann.recv().GetDescribeSemaphoreResult().GetStatus())
		reload(func(u *users) { u.write(u.line("root"), "grant root / full") }, where)
		ann.requireFailure(Ydb.StatusIds_UNAUTHORIZED, withdrawn)
		reload(grant, where)
	}
	root.requireReleased("a")

	_, err := all[1].openAs(t, "nobody's token").grpc.Recv()
	requireUnauthenticated(t, err, "Could not find correct token validator")
}

// A token from one server's log-in is good for all servers.
func TestFront_Login(t *testing.T) {
	t.Parallel()
	u := usersFile(t)
	all := clusterOf(t, 2, u)
	u.write(u.line("root"), "grant root / full", "user ann password="+horse, "grant ann /local use")
	for _, m := range all {
		require.NoError(t, m.server.Reload())
	}
	var login Ydb_Auth.LoginResult
	r, err := Ydb_Auth_V1.NewAuthServiceClient(all[0].conn).Login(t.Context(),
		&Ydb_Auth.LoginRequest{User: "ann", Password: "correct horse"})
	requireSuccess(t, r, err, &login)
	all[1].attachAs(t, login.GetToken()).requireAcquired("a")
}

// dialAs connects to a server with the credentials.
func dialAs(t *testing.T, m *member, creds credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(m.address, grpc.WithTransportCredentials(creds))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })

	return conn
}

// forwardedStream opens a stream as a server does that forwards it, and sends the first message.
func forwardedStream(
	t *testing.T, conn grpc.ClientConnInterface, m *member, caller map[string]any,
) Ydb_Coordination_V1.CoordinationService_SessionClient {
	t.Helper()
	header, err := json.Marshal(caller)
	require.NoError(t, err)
	s, err := Ydb_Coordination_V1.NewCoordinationServiceClient(conn).Session(
		metadata.AppendToOutgoingContext(t.Context(), "tenure-caller-bin", string(header)))
	if err != nil {
		return failedStream{err: err}
	}
	_ = s.Send(startMessage(m.node, 0, time.Minute))

	return s
}

// failedStream is a stream that could not be opened.
type failedStream struct {
	Ydb_Coordination_V1.CoordinationService_SessionClient

	err error
}

func (f failedStream) Recv() (*pb.SessionResponse, error) { return nil, f.err }

// A client that says that it is a server, and whom it speaks for, is not believed.
func TestFront_ForgedCaller(t *testing.T) {
	t.Parallel()
	u := usersFile(t)
	m := clusterOf(t, 1, u)[0]
	own := map[string]any{"network": "unix", "own": true}

	_, err := forwardedStream(t, m.conn, m, own).Recv()
	requireUnauthenticated(t, err, "Access denied without user token")

	other, err := peerkey.New([]byte("the secret of another cluster"))
	require.NoError(t, err)
	_, err = forwardedStream(t, dialAs(t, m, other.Client()), m, own).Recv()
	require.Equal(t, codes.Unavailable, status.Code(err), err)

	key, err := peerkey.New(m.store.Secret()) // a server
	require.NoError(t, err)
	conn := dialAs(t, m, key.Client())
	r, err := forwardedStream(t, conn, m, own).Recv()
	require.NoError(t, err)
	require.NotZero(t, r.GetSessionStarted().GetSessionId())
	_, err = forwardedStream(t, conn, m, map[string]any{"shown": []byte("x")}).Recv()
	require.Equal(t, codes.InvalidArgument, status.Code(err), err)
	_, err = forwardedStream(t, conn, m, map[string]any{"shown": []byte("{}")}).Recv()
	requireUnauthenticated(t, err, "Access denied without user token")

	// Servers forward nothing but sessions.
	_, err = grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err), err)
}

// A client that says that it is a server is told nothing, and its stream is forwarded as that of any client.
func TestFront_ForgedHop(t *testing.T) {
	t.Parallel()
	_, all := cluster(t, 2)
	conn := dialAs(t, all[1], insecure.NewCredentials())
	r, err := forwardedStream(t, conn, all[1], map[string]any{"address": "x"}).Recv()
	require.NoError(t, err)
	require.NotZero(t, r.GetSessionStarted().GetSessionId())
}

// A stream is forwarded once only. A server that does not serve the node says so.
func TestFront_OneHop(t *testing.T) {
	t.Parallel()
	_, all := cluster(t, 2)
	key, err := peerkey.New(all[1].store.Secret())
	require.NoError(t, err)
	conn := dialAs(t, all[1], key.Client())
	s := forwardedStream(t, conn, all[1], map[string]any{"address": "192.0.2.1:7"})
	_, err = s.Recv()
	require.Equal(t, codes.FailedPrecondition, status.Code(err), err)
	require.Equal(t, []string{"1"}, s.Trailer().Get("tenure-not-here"))
}
