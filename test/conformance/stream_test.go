package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"tenure/tenuretest"
)

// Requests that a stream sends.
type (
	start     = pb.SessionRequest_SessionStart
	stop      = pb.SessionRequest_SessionStop
	ping      struct{ opaque uint64 }
	pong      struct{ opaque uint64 }
	acquire   = pb.SessionRequest_AcquireSemaphore
	release   = pb.SessionRequest_ReleaseSemaphore
	describe  = pb.SessionRequest_DescribeSemaphore
	create    = pb.SessionRequest_CreateSemaphore
	update    = pb.SessionRequest_UpdateSemaphore
	deletion  = pb.SessionRequest_DeleteSemaphore
	nothing   struct{}
	unlisted  = pb.Unsupported
	semaphore = pb.SemaphoreDescription
)

// wire is a connection to a server that has a node.
type wire struct {
	*testing.T
	server *tenuretest.Server
	client Ydb_Coordination_V1.CoordinationServiceClient
}

func newWire(t *testing.T) *wire {
	t.Helper()
	w := &wire{T: t, server: tenuretest.NewServer(t)}
	dsn, err := url.Parse(w.server.DSN())
	require.NoError(t, err)
	conn, err := grpc.NewClient(dsn.Host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	w.client = Ydb_Coordination_V1.NewCoordinationServiceClient(conn)
	r, err := w.client.CreateNode(t.Context(), &pb.CreateNodeRequest{Path: node})
	require.NoError(t, err)
	require.Equal(t, Ydb.StatusIds_SUCCESS, r.GetOperation().GetStatus())

	return w
}

// stream is one Session stream.
type stream struct {
	*testing.T
	grpc   Ydb_Coordination_V1.CoordinationService_SessionClient
	hangUp context.CancelFunc
	id     uint64              // the session's id
	mute   bool                // next does not answer pings
	last   *pb.SessionResponse // the last message that next returned
}

func (w *wire) open() *stream {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), limit)
	w.Cleanup(cancel)
	g, err := w.client.Session(ctx, grpc.WaitForReady(true))
	require.NoError(w, err)

	return &stream{T: w.T, grpc: g, hangUp: cancel}
}

// attach opens a stream and attaches it to the session with this id, or to a new session if the id is 0.
func (w *wire) attach(session uint64) *stream {
	w.Helper()
	s, answer := w.start(&start{Path: node, SessionId: session, TimeoutMillis: uint64(outliving.Milliseconds())})
	require.Equal(w, "started", answer)

	return s
}

// start opens a stream, sends the message and returns the answer. It tries again while the stream ends with
// Unavailable: after a fault the connection may be broken, and only using it shows that.
func (w *wire) start(m *start) (s *stream, answer string) {
	w.Helper()
	for answer == "" || strings.HasPrefix(answer, "end: Unavailable") {
		s = w.open()
		_ = s.grpc.Send(request(m)) // next returns the reason of a failure
		answer = s.next()
	}
	s.id = s.last.GetSessionStarted().GetSessionId()

	return s, answer
}

func (s *stream) send(requests ...any) {
	s.Helper()
	for _, r := range requests {
		require.NoError(s, s.grpc.Send(request(r)))
	}
}

func request(r any) *pb.SessionRequest {
	m := &pb.SessionRequest{}
	switch r := r.(type) {
	case nothing:
	case ping:
		m.Request = &pb.SessionRequest_Ping{Ping: &pb.SessionRequest_PingPong{Opaque: r.opaque}}
	case pong:
		m.Request = &pb.SessionRequest_Pong{Pong: &pb.SessionRequest_PingPong{Opaque: r.opaque}}
	case *start:
		m.Request = &pb.SessionRequest_SessionStart_{SessionStart: r}
	case *stop:
		m.Request = &pb.SessionRequest_SessionStop_{SessionStop: r}
	case *acquire:
		m.Request = &pb.SessionRequest_AcquireSemaphore_{AcquireSemaphore: r}
	case *release:
		m.Request = &pb.SessionRequest_ReleaseSemaphore_{ReleaseSemaphore: r}
	case *describe:
		m.Request = &pb.SessionRequest_DescribeSemaphore_{DescribeSemaphore: r}
	case *create:
		m.Request = &pb.SessionRequest_CreateSemaphore_{CreateSemaphore: r}
	case *update:
		m.Request = &pb.SessionRequest_UpdateSemaphore_{UpdateSemaphore: r}
	case *deletion:
		m.Request = &pb.SessionRequest_DeleteSemaphore_{DeleteSemaphore: r}
	case *unlisted:
		m.Request = &pb.SessionRequest_Unsupported_13{Unsupported_13: r}
	default:
		panic(fmt.Sprintf("unknown request type %T", r))
	}

	return m
}

// expect requires that next returns these strings, one after the other.
func (s *stream) expect(messages ...string) {
	s.Helper()
	for i, want := range messages {
		require.Equal(s, want, s.next(), "message %d", i)
	}
}

// next receives a message and renders it as response does. At the end of the stream it returns "end", followed by the
// status if that is not OK. It answers pings and does not return them.
func (s *stream) next() string {
	s.Helper()
	for {
		m, err := s.grpc.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return "end"
		case err != nil:
			return fmt.Sprintf("end: %s: %s", status.Code(err), status.Convert(err).Message())
		case m.GetPing() == nil:
			s.last = m

			return response(m)
		case !s.mute:
			_ = s.grpc.Send(request(pong{m.GetPing().GetOpaque()})) // fails if the stream has ended
		}
	}
}

// response renders a message as text: the call that it answers, the req_id and the outcome.
func response(m *pb.SessionResponse) string {
	switch r := m.GetResponse().(type) {
	case *pb.SessionResponse_SessionStarted_:
		return "started"
	case *pb.SessionResponse_SessionStopped_:
		return "stopped"
	case *pb.SessionResponse_Pong:
		return fmt.Sprint("pong ", r.Pong.GetOpaque())
	case *pb.SessionResponse_Failure_:
		return fmt.Sprintf("failure: %s: %s", r.Failure.GetStatus(), issue(r.Failure.GetIssues()))
	case *pb.SessionResponse_AcquireSemaphorePending_:
		return fmt.Sprintf("acquire %d: pending", r.AcquireSemaphorePending.GetReqId())
	case *pb.SessionResponse_AcquireSemaphoreResult_:
		return result("acquire", r.AcquireSemaphoreResult, r.AcquireSemaphoreResult.GetAcquired())
	case *pb.SessionResponse_ReleaseSemaphoreResult_:
		return result("release", r.ReleaseSemaphoreResult, r.ReleaseSemaphoreResult.GetReleased())
	case *pb.SessionResponse_DescribeSemaphoreResult_:
		return result("describe", r.DescribeSemaphoreResult, r.DescribeSemaphoreResult.GetWatchAdded())
	case *pb.SessionResponse_DescribeSemaphoreChanged_:
		c := r.DescribeSemaphoreChanged

		return fmt.Sprintf("changed %d: data=%t owners=%t", c.GetReqId(), c.GetDataChanged(), c.GetOwnersChanged())
	case *pb.SessionResponse_CreateSemaphoreResult_:
		return result("create", r.CreateSemaphoreResult, true)
	case *pb.SessionResponse_UpdateSemaphoreResult_:
		return result("update", r.UpdateSemaphoreResult, true)
	case *pb.SessionResponse_DeleteSemaphoreResult_:
		return result("delete", r.DeleteSemaphoreResult, true)
	default:
		return m.String()
	}
}

// result renders a result: done if the call succeeded, and otherwise the status and the issue.
func result(of string, r interface {
	GetReqId() uint64
	GetStatus() Ydb.StatusIds_StatusCode
	GetIssues() []*Ydb_Issue.IssueMessage
}, done bool,
) string {
	if r.GetStatus() == Ydb.StatusIds_SUCCESS && len(r.GetIssues()) == 0 {
		return fmt.Sprintf("%s %d: %t", of, r.GetReqId(), done)
	}

	return fmt.Sprintf("%s %d: %s: %s", of, r.GetReqId(), r.GetStatus(), issue(r.GetIssues()))
}

func issue(issues []*Ydb_Issue.IssueMessage) string {
	if len(issues) != 1 {
		return fmt.Sprint(issues)
	}

	return issues[0].GetMessage()
}

// description returns the description of a semaphore with its owners and waiters.
func (s *stream) description(name string) *semaphore {
	s.Helper()
	s.send(&describe{ReqId: 999, Name: name, IncludeOwners: true, IncludeWaiters: true})
	s.expect("describe 999: false")

	return s.last.GetDescribeSemaphoreResult().GetSemaphoreDescription()
}
