package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

const (
	database = "/local"
	nodePath = database + "/bench"
	forever  = 1<<64 - 1
)

// client is one connection that any number of sessions share.
type client struct {
	ctx  context.Context
	conn *grpc.ClientConn
	stub Ydb_Coordination_V1.CoordinationServiceClient
}

// dial connects to a server and creates the node. The connection is closed when the test ends.
func dial(tb testing.TB, addr string) *client {
	tb.Helper()
	c, err := connect(tb.Context(), addr)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = c.conn.Close() })

	return c
}

// connect connects to a server and creates the node, unless it exists. Like the client of package tenure, it has fixed
// windows, which make gRPC faster.
func connect(ctx context.Context, addr string) (*client, error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(connWindow))
	if err != nil {
		return nil, err
	}
	c := &client{
		ctx:  metadata.AppendToOutgoingContext(ctx, "x-ydb-database", database),
		conn: conn,
		stub: Ydb_Coordination_V1.NewCoordinationServiceClient(conn),
	}
	made, err := c.stub.CreateNode(c.ctx, &Ydb_Coordination.CreateNodeRequest{Path: nodePath})
	switch status := made.GetOperation().GetStatus(); {
	case err != nil:
	case status != Ydb.StatusIds_SUCCESS && status != Ydb.StatusIds_ALREADY_EXISTS:
		err = fmt.Errorf("create node: %v", made)
	default:
		return c, nil
	}

	return nil, errors.Join(err, conn.Close())
}

// session is an attached session. One goroutine may send requests while another one receives.
type session struct {
	stream Ydb_Coordination_V1.CoordinationService_SessionClient
	cancel context.CancelFunc
	id     uint64
	req    uint64

	sending sync.Mutex // gRPC allows one call of Send at a time, and pongs are sent by the goroutine that receives
}

func (s *session) send(m *Ydb_Coordination.SessionRequest) error {
	s.sending.Lock()
	defer s.sending.Unlock()

	return s.stream.Send(m)
}

// attach attaches to the session with this id, or to a new session if the id is 0.
func (c *client) attach(id uint64, timeout time.Duration) (*session, error) {
	return c.attachTo(nodePath, id, timeout)
}

func (c *client) attachTo(path string, id uint64, timeout time.Duration) (*session, error) {
	ctx, cancel := context.WithCancel(c.ctx)
	stream, err := c.stub.Session(ctx)
	if err != nil {
		cancel()

		return nil, err
	}
	s := &session{stream: stream, cancel: cancel}
	err = stream.Send(&Ydb_Coordination.SessionRequest{
		Request: &Ydb_Coordination.SessionRequest_SessionStart_{
			SessionStart: &Ydb_Coordination.SessionRequest_SessionStart{
				Path: path, SessionId: id, TimeoutMillis: uint64(timeout.Milliseconds()),
			},
		},
	})
	if err != nil {
		cancel()

		return nil, err
	}
	m, err := s.next()
	if err != nil {
		cancel()

		return nil, err
	}
	s.id = m.GetSessionStarted().GetSessionId()
	if s.id == 0 {
		cancel()

		return nil, fmt.Errorf("attach: got %v", m)
	}

	return s, nil
}

// next returns the next message that is not a ping. It answers pings.
func (s *session) next() (*Ydb_Coordination.SessionResponse, error) {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return nil, err
		}
		ping := m.GetPing()
		if ping == nil {
			return m, nil
		}
		err = s.send(&Ydb_Coordination.SessionRequest{
			Request: &Ydb_Coordination.SessionRequest_Pong{
				Pong: &Ydb_Coordination.SessionRequest_PingPong{Opaque: ping.GetOpaque()},
			},
		})
		if err != nil {
			return nil, err
		}
	}
}

// sendAcquire requests the whole of an ephemeral semaphore, without a limit on the waiting time.
func (s *session) sendAcquire(semaphore string) error {
	s.req++

	return s.send(&Ydb_Coordination.SessionRequest{
		Request: &Ydb_Coordination.SessionRequest_AcquireSemaphore_{
			AcquireSemaphore: &Ydb_Coordination.SessionRequest_AcquireSemaphore{
				ReqId: s.req, Name: semaphore, Count: forever, TimeoutMillis: forever, Ephemeral: true,
			},
		},
	})
}

func (s *session) awaitPending() error {
	m, err := s.next()
	if err == nil && m.GetAcquireSemaphorePending() == nil {
		err = fmt.Errorf("acquire: got %v instead of pending", m)
	}

	return err
}

// awaitAcquired waits for the grant. The server may send a pending message before it.
func (s *session) awaitAcquired() error {
	for {
		m, err := s.next()
		switch {
		case err != nil:
			return err
		case m.GetAcquireSemaphorePending() != nil:
			continue
		case !m.GetAcquireSemaphoreResult().GetAcquired():
			return fmt.Errorf("acquire: got %v", m)
		default:
			return nil
		}
	}
}

func (s *session) acquire(semaphore string) error {
	if err := s.sendAcquire(semaphore); err != nil {
		return err
	}

	return s.awaitAcquired()
}

func (s *session) sendRelease(semaphore string) error {
	s.req++

	return s.send(&Ydb_Coordination.SessionRequest{
		Request: &Ydb_Coordination.SessionRequest_ReleaseSemaphore_{
			ReleaseSemaphore: &Ydb_Coordination.SessionRequest_ReleaseSemaphore{ReqId: s.req, Name: semaphore},
		},
	})
}

func (s *session) awaitReleased() error {
	m, err := s.next()
	if err != nil {
		return err
	}
	if !m.GetReleaseSemaphoreResult().GetReleased() {
		return fmt.Errorf("release: got %v", m)
	}

	return nil
}

func (s *session) release(semaphore string) error {
	if err := s.sendRelease(semaphore); err != nil {
		return err
	}

	return s.awaitReleased()
}
