package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// node is the coordination node of all tests.
const node = "/local/test"

// grace is the time beyond their timeout in which sessions can come back after a restart of the server. It is the
// minimum (N5).
const grace = 1500 * time.Millisecond

// A server is a tenure serve process that can be ended and restarted with the same address and data.
type server struct {
	*process

	stage  *stage
	listen string
	data   string
	starts int
}

// newServer starts a server and creates an empty node on it.
func newServer(s *stage) *server {
	s.t.Helper()
	srv := &server{stage: s, listen: freeAddress(s.t), data: filepath.Join(s.dir, "data")}
	srv.begin()
	srv.createNode()

	return srv
}

// freeAddress finds a free port that the system does not assign to outgoing connections while the server is down. Most
// systems assign ports from 32768 up.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_000))
		if l, err := net.Listen("tcp", address); err == nil {
			require.NoError(t, l.Close())

			return address
		}
	}
	require.FailNow(t, "found no free port")

	return ""
}

// begin starts the server, with further flags of serve, and waits until it is ready.
func (srv *server) begin(flags ...string) {
	srv.stage.t.Helper()
	srv.starts++
	name := fmt.Sprint("server-", srv.starts)
	from := srv.stage.mark()
	srv.process = srv.stage.start(name, "tenure",
		append([]string{"serve", "--listen", srv.listen, "--data", srv.data}, flags...)...)
	url := "grpc://" + srv.listen
	for i, flag := range flags {
		switch flag {
		case "--tls-cert":
			url = "grpcs://" + srv.listen
		case "--advertise":
			url = flags[i+1]
		}
	}
	srv.await(from, soon, fmt.Sprintf("tenure: serving %s/local, data in %s", url, srv.data))
}

func (srv *server) dsn() string { return "grpc://" + srv.listen + "/local" }

func (srv *server) client() Ydb_Coordination_V1.CoordinationServiceClient {
	srv.stage.t.Helper()
	conn, err := grpc.NewClient(srv.listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(srv.stage.t, err)
	srv.stage.t.Cleanup(func() { conn.Close() })

	return Ydb_Coordination_V1.NewCoordinationServiceClient(conn)
}

func (srv *server) createNode() {
	srv.stage.t.Helper()
	answer, err := srv.client().CreateNode(srv.stage.t.Context(), &Ydb_Coordination.CreateNodeRequest{
		Path: node,
		Config: &Ydb_Coordination.Config{
			SelfCheckPeriodMillis: 500, SessionGracePeriodMillis: uint32(grace.Milliseconds()),
		},
	})
	require.NoError(srv.stage.t, err)
	require.Equal(srv.stage.t, Ydb.StatusIds_SUCCESS, answer.GetOperation().GetStatus(), answer)
}

// setGrace sets how long, beyond their timeouts, sessions exist after a restart of the server.
func (srv *server) setGrace(d time.Duration) {
	srv.stage.t.Helper()
	answer, err := srv.client().AlterNode(srv.stage.t.Context(), &Ydb_Coordination.AlterNodeRequest{
		Path: node, Config: &Ydb_Coordination.Config{SessionGracePeriodMillis: uint32(d.Milliseconds())},
	})
	require.NoError(srv.stage.t, err)
	require.Equal(srv.stage.t, Ydb.StatusIds_SUCCESS, answer.GetOperation().GetStatus(), answer)
}

// A session is a session that the test opens itself.
type session struct {
	t      *testing.T
	stream Ydb_Coordination_V1.CoordinationService_SessionClient
}

// session opens a session. Use it for single requests: it answers pings only while it receives a message.
func (srv *server) session() *session {
	t := srv.stage.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	t.Cleanup(cancel)
	stream, err := srv.client().Session(ctx)
	require.NoError(t, err)
	s := &session{t, stream}
	s.send(&Ydb_Coordination.SessionRequest{Request: &Ydb_Coordination.SessionRequest_SessionStart_{
		SessionStart: &Ydb_Coordination.SessionRequest_SessionStart{
			Path: node, TimeoutMillis: uint64(time.Minute.Milliseconds()),
		},
	}})
	receive(s, (*Ydb_Coordination.SessionResponse).GetSessionStarted)

	return s
}

func (s *session) send(r *Ydb_Coordination.SessionRequest) {
	s.t.Helper()
	require.NoError(s.t, s.stream.Send(r))
}

// receive waits for a message of one kind, and answers pings meanwhile.
func receive[M comparable](s *session, kind func(*Ydb_Coordination.SessionResponse) M) M {
	s.t.Helper()
	var none M
	for {
		r, err := s.stream.Recv()
		require.NoError(s.t, err)
		if m := kind(r); m != none {
			return m
		}
		if p := r.GetPing(); p != nil {
			s.send(&Ydb_Coordination.SessionRequest{Request: &Ydb_Coordination.SessionRequest_Pong{
				Pong: &Ydb_Coordination.SessionRequest_PingPong{Opaque: p.GetOpaque()},
			}})
		}
		require.Nil(s.t, r.GetFailure())
	}
}

// close ends the session and waits until the server has confirmed that.
func (s *session) close() {
	s.t.Helper()
	s.send(&Ydb_Coordination.SessionRequest{Request: &Ydb_Coordination.SessionRequest_SessionStop_{
		SessionStop: &Ydb_Coordination.SessionRequest_SessionStop{},
	}})
	receive(s, (*Ydb_Coordination.SessionResponse).GetSessionStopped)
}

// owner identifies an owner of a semaphore on the server.
type owner struct{ session, order uint64 }

// owner returns the only owner of the semaphore, or the zero owner if it has none.
func (srv *server) owner(semaphore string) owner {
	srv.stage.t.Helper()
	owners := srv.describe(semaphore).GetOwners()
	if len(owners) == 0 {
		return owner{}
	}
	require.Len(srv.stage.t, owners, 1)

	return owner{owners[0].GetSessionId(), owners[0].GetOrderId()}
}

// describe returns the semaphore with its owners and waiters; nil if it does not exist.
func (srv *server) describe(semaphore string) *Ydb_Coordination.SemaphoreDescription {
	srv.stage.t.Helper()
	s := srv.session()
	defer s.close()
	s.send(&Ydb_Coordination.SessionRequest{Request: &Ydb_Coordination.SessionRequest_DescribeSemaphore_{
		DescribeSemaphore: &Ydb_Coordination.SessionRequest_DescribeSemaphore{
			Name: semaphore, IncludeOwners: true, IncludeWaiters: true,
		},
	}})

	return receive(s, (*Ydb_Coordination.SessionResponse).GetDescribeSemaphoreResult).GetSemaphoreDescription()
}

// awaitQueue waits until the semaphore has as many owners and waiters.
func (srv *server) awaitQueue(semaphore string, owners, waiters int) {
	srv.stage.t.Helper()
	for limit := time.Now().Add(soon); ; {
		d := srv.describe(semaphore)
		if len(d.GetOwners()) == owners && len(d.GetWaiters()) == waiters {
			return
		}
		require.True(srv.stage.t, time.Now().Before(limit), d)
	}
}
