package server_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"tenure/internal/clock"
	"tenure/internal/serverconfig"
	"tenure/internal/store"
	"tenure/internal/store/memstore"
	"tenure/server"
)

const forever = math.MaxUint64

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is a server with one node and a client's connection to it. It also works inside a synctest bubble.
type harness struct {
	node   string
	server *server.Server
	conn   *grpc.ClientConn
	client Ydb_Coordination_V1.CoordinationServiceClient
	served chan error
}

func withStore(st store.Store) server.Option { return func(c *serverconfig.Config) { c.Store = st } }

func withClock(clk clock.Clock) server.Option { return func(c *serverconfig.Config) { c.Clock = clk } }

func withLifelines(l serverconfig.Lifelines) server.Option {
	return func(c *serverconfig.Config) { c.Lifelines = l }
}

// serve starts a server with the clock of package time on an in-memory connection, and creates the node.
func serve(t *testing.T, opts ...server.Option) *harness {
	t.Helper()
	h := start(t, opts...)
	h.createNode(t)

	return h
}

func (h *harness) createNode(t *testing.T) {
	t.Helper()
	r, err := h.client.CreateNode(t.Context(), &pb.CreateNodeRequest{Path: h.node, Config: &pb.Config{}})
	require.NoError(t, err)
	require.Equal(t, Ydb.StatusIds_SUCCESS, r.GetOperation().GetStatus())
}

// start is like serve, but creates no node.
func start(t *testing.T, opts ...server.Option) *harness {
	t.Helper()
	srv, err := server.New(append([]server.Option{withClock(clock.Go())}, opts...)...)
	require.NoError(t, err)
	lis := bufconn.Listen(1 << 16)
	conn, err := grpc.NewClient("passthrough:server",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	require.NoError(t, err)
	h := &harness{
		node: "/local/test", server: srv, conn: conn, served: make(chan error, 1),
		client: Ydb_Coordination_V1.NewCoordinationServiceClient(conn),
	}
	go func() { h.served <- srv.Serve(lis) }()
	t.Cleanup(func() { h.stop(t) })

	return h
}

// stop stops the client and the server. Calling it again is a no-op.
func (h *harness) stop(t *testing.T) {
	t.Helper()
	h.conn.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
	defer cancel()
	_ = h.server.Stop(ctx) // tests of its error call Stop themselves
}

// session is a client's stream and, after the attach, its session.
type session struct {
	t         *testing.T
	grpc      Ydb_Coordination_V1.CoordinationService_SessionClient
	cancel    context.CancelFunc
	id        uint64
	keepPings bool // recv returns pings instead of answering them

	sending sync.Mutex               // pings may be answered in the background
	inbox   chan *pb.SessionResponse // of keep; closed at the end of the stream
}

func (h *harness) open(t *testing.T) *session {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err := h.client.Session(ctx)
	require.NoError(t, err)

	return &session{t: t, grpc: stream, cancel: cancel}
}

// attach opens a stream and attaches it to the session, 0 for a new one.
func (h *harness) attach(t *testing.T, id uint64, timeout time.Duration) *session {
	t.Helper()
	s := h.open(t)
	s.send(startMessage(h.node, id, timeout))
	s.id = s.recv().GetSessionStarted().GetSessionId()
	require.NotZero(t, s.id)

	return s
}

func (s *session) send(m *pb.SessionRequest) {
	s.t.Helper()
	require.NoError(s.t, s.trySend(m))
}

func (s *session) trySend(m *pb.SessionRequest) error {
	s.sending.Lock()
	defer s.sending.Unlock()

	return s.grpc.Send(m)
}

// recv returns the next message. It answers pings, unless keepPings is set.
func (s *session) recv() *pb.SessionResponse {
	s.t.Helper()
	if s.inbox != nil {
		m, ok := <-s.inbox
		require.True(s.t, ok, "the stream has ended")

		return m
	}
	for {
		m, err := s.grpc.Recv()
		require.NoError(s.t, err)
		if m.GetPing() == nil || s.keepPings {
			return m
		}
		_ = s.trySend(pongMessage(m.GetPing().GetOpaque())) // the stream may have ended, with messages still to read
	}
}

// keep makes the session answer pings from now on, and not only while the test receives. A session that does not answer
// for ten seconds ends, and a busy machine may take that long for other things.
func (s *session) keep() {
	s.inbox = make(chan *pb.SessionResponse, 100)
	go func() { // ends with the stream
		defer close(s.inbox)
		for {
			m, err := s.grpc.Recv()
			if err != nil {
				return
			}
			if m.GetPing() == nil {
				s.inbox <- m

				continue
			}
			_ = s.trySend(pongMessage(m.GetPing().GetOpaque()))
		}
	}()
}

// requireFailure receives messages up to a Failure, which must be the last one.
func (s *session) requireFailure(status Ydb.StatusIds_StatusCode, text string) {
	s.t.Helper()
	for {
		m, err := s.grpc.Recv()
		require.NoError(s.t, err)
		if f := m.GetFailure(); f != nil {
			require.Equal(s.t, status, f.GetStatus())
			require.Len(s.t, f.GetIssues(), 1)
			require.Equal(s.t, text, f.GetIssues()[0].GetMessage())
			s.requireEnd()

			return
		}
	}
}

// requireEnd requires that the stream ends with gRPC OK.
func (s *session) requireEnd() {
	s.t.Helper()
	_, err := s.grpc.Recv()
	require.ErrorIs(s.t, err, io.EOF)
}

func (s *session) requireAcquired(name string) {
	s.t.Helper()
	s.send(acquireMessage(1, name, forever))
	require.True(s.t, s.recv().GetAcquireSemaphoreResult().GetAcquired())
}

func (s *session) requirePending(name string) {
	s.t.Helper()
	s.send(acquireMessage(1, name, forever))
	require.NotNil(s.t, s.recv().GetAcquireSemaphorePending())
}

func (s *session) requireReleased(name string) {
	s.t.Helper()
	require.True(s.t, s.releases(name))
}

// releases sends a release of a semaphore and returns the answer.
func (s *session) releases(name string) bool {
	s.t.Helper()
	s.send(&pb.SessionRequest{Request: &pb.SessionRequest_ReleaseSemaphore_{
		ReleaseSemaphore: &pb.SessionRequest_ReleaseSemaphore{Name: name},
	}})

	return s.recv().GetReleaseSemaphoreResult().GetReleased()
}

func (s *session) create(name, data string) {
	s.t.Helper()
	s.send(&pb.SessionRequest{Request: &pb.SessionRequest_CreateSemaphore_{
		CreateSemaphore: &pb.SessionRequest_CreateSemaphore{Name: name, Limit: 1, Data: []byte(data)},
	}})
	require.Equal(s.t, Ydb.StatusIds_SUCCESS, s.recv().GetCreateSemaphoreResult().GetStatus())
}

func startMessage(path string, id uint64, timeout time.Duration) *pb.SessionRequest {
	return &pb.SessionRequest{Request: &pb.SessionRequest_SessionStart_{SessionStart: &pb.SessionRequest_SessionStart{
		Path: path, SessionId: id, TimeoutMillis: uint64(timeout.Milliseconds()),
	}}}
}

func acquireMessage(req uint64, name string, timeoutMillis uint64) *pb.SessionRequest {
	return &pb.SessionRequest{Request: &pb.SessionRequest_AcquireSemaphore_{
		AcquireSemaphore: &pb.SessionRequest_AcquireSemaphore{
			ReqId: req, Name: name, Count: math.MaxUint64, TimeoutMillis: timeoutMillis, Ephemeral: true,
		},
	}}
}

func describeMessage(req uint64, name string) *pb.SessionRequest {
	return &pb.SessionRequest{Request: &pb.SessionRequest_DescribeSemaphore_{
		DescribeSemaphore: &pb.SessionRequest_DescribeSemaphore{ReqId: req, Name: name},
	}}
}

func pingMessage(opaque uint64) *pb.SessionRequest {
	return &pb.SessionRequest{Request: &pb.SessionRequest_Ping{Ping: &pb.SessionRequest_PingPong{Opaque: opaque}}}
}

func pongMessage(opaque uint64) *pb.SessionRequest {
	return &pb.SessionRequest{Request: &pb.SessionRequest_Pong{Pong: &pb.SessionRequest_PingPong{Opaque: opaque}}}
}

// gate is a memory store whose commits can be held back or made to fail.
type gate struct {
	store.Store
	arrived chan struct{} // receives a value for each commit that waits at the gate; capacity 1

	mu   sync.Mutex    // guards the rest
	free chan struct{} // closed while the gate is open
	err  error
}

var errDisk = errors.New("no space left on device")

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{Store: memstore.New(), arrived: make(chan struct{}, 1), free: make(chan struct{})}
	close(g.free)

	return g
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.free)
}

// fail makes every commit from now on fail without effect, including one that waits at the gate.
func (g *gate) fail() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = errDisk
}

// awaitCommit returns when a commit waits at the gate.
func (g *gate) awaitCommit() { <-g.arrived }

func (g *gate) Commit(ctx context.Context, b store.Batch) error {
	g.mu.Lock()
	free := g.free
	g.mu.Unlock()
	select {
	case <-free:
	default:
		g.arrived <- struct{}{}
		<-free
	}
	g.mu.Lock()
	err := g.err
	g.mu.Unlock()
	if err != nil {
		return err
	}

	return g.Store.Commit(ctx, b)
}
