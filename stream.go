package tenure

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc"

	"tenure/internal/clock"
	"tenure/internal/session"
)

// maxAnswer bounds what one message may hold: descriptions of many waiters are large (D3).
const maxAnswer = 64 << 20

// stream is one gRPC stream of a session, or the attempt to open it. Two goroutines work for it, receive and write;
// cancel ends both.
type stream struct {
	id     session.StreamID
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{} // capacity 1: there is something in queue

	mu    sync.Mutex // guards queue
	queue []*pb.SessionRequest
}

// open starts a stream. It is called with mu held and does not block.
func (s *Session) open(id session.StreamID) *stream {
	st := &stream{id: id, wake: make(chan struct{}, 1)}
	st.ctx, st.cancel = context.WithCancel(s.base)
	s.running.Go(func() {
		defer st.cancel()
		err := s.receive(st)
		s.do(func(now clock.Instant, fx *session.Effects) { s.core.Ended(now, id, err, fx) })
	})

	return st
}

// send queues a message; it does not block.
func (st *stream) send(m *pb.SessionRequest) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.queue = append(st.queue, m)
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

func (st *stream) take(into []*pb.SessionRequest) []*pb.SessionRequest {
	clear(into)
	st.mu.Lock()
	defer st.mu.Unlock()
	taken := st.queue
	st.queue = into[:0]

	return taken
}

// receive opens the stream and hands the core what comes, until the stream ends.
func (s *Session) receive(st *stream) error {
	g, err := s.client.stub.Session(st.ctx, grpc.MaxCallRecvMsgSize(maxAnswer))
	if err != nil {
		return err
	}
	s.running.Go(func() { st.write(g) })
	for {
		m, err := g.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		s.do(func(now clock.Instant, fx *session.Effects) { s.core.Received(now, st.id, m, fx) })
	}
}

// write sends what is queued. An error of Send is the stream's end, of which Recv tells more.
func (st *stream) write(g Ydb_Coordination_V1.CoordinationService_SessionClient) {
	var messages []*pb.SessionRequest
	for {
		select {
		case <-st.wake:
		case <-st.ctx.Done():
			return
		}
		messages = st.take(messages)
		for _, m := range messages {
			if g.Send(m) != nil {
				return
			}
		}
	}
}
