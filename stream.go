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
	"tenure/internal/codec"
	"tenure/internal/limit"
	"tenure/internal/session"
)

// maxAnswer is the size in bytes of the largest message that the client accepts. A description with many waiters is
// large (D3).
const maxAnswer = 64 << 20

// stream is one gRPC stream of a session, or the attempt to open it. Its two goroutines run receive and write. Both end
// when ctx ends.
type stream struct {
	id   session.StreamID
	ctx  *lifetime
	gone chan struct{} // closed when receive has returned, so the SDK knows how the stream has ended
	wake chan struct{} // has capacity 1; a value means that queue is not empty

	mu    sync.Mutex // guards queue
	queue []*pb.SessionRequest
}

// open starts a stream. It does not block. The caller holds mu.
func (s *Session) open(id session.StreamID) *stream {
	st := &stream{
		id: id, gone: make(chan struct{}), wake: make(chan struct{}, 1),
		ctx: &lifetime{Context: s.base, done: make(chan struct{})},
	}
	silent, attaching := s.silent, s.client.attaching.of(s)
	s.running.Go(func() {
		defer st.ctx.end(context.Canceled)
		if silent != nil { // otherwise the SDK might choose the endpoint that does not answer
			select {
			case <-silent.gone:
			case <-st.ctx.Done():
			}
		}
		err := s.attach(st, attaching)
		close(st.gone)
		s.do(func(now clock.Instant, fx *session.Effects) { s.core.Ended(now, id, err, fx) })
	})

	return st
}

// lifetime is the context of a stream. If the server did not answer, the context ends with context.DeadlineExceeded.
// This tells the SDK's balancer that the endpoint does not answer, so it chooses another one for the next stream.
type lifetime struct {
	context.Context

	done chan struct{} // closed by end

	mu  sync.Mutex // guards err
	err error
}

func (l *lifetime) Done() <-chan struct{} { return l.done }

func (l *lifetime) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.err
}

// end ends the context with the error. Only the first call has an effect.
func (l *lifetime) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		close(l.done)
	}
}

// send queues a message. It does not block.
func (st *stream) send(m *pb.SessionRequest) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.queue = append(st.queue, m)
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// take returns the queued messages. It reuses the array of into for the messages that are queued next.
func (st *stream) take(into []*pb.SessionRequest) []*pb.SessionRequest {
	clear(into)
	st.mu.Lock()
	defer st.mu.Unlock()
	taken := st.queue
	st.queue = into[:0]

	return taken
}

// receive opens the stream and passes each message to the core until the stream ends. It calls answered after the first
// message.
func (s *Session) receive(st *stream, answered func()) error {
	// The driver may have a lower limit for sending, and a request above that limit ends the stream.
	g, err := s.client.stub.Session(st.ctx,
		grpc.MaxCallRecvMsgSize(maxAnswer), grpc.MaxCallSendMsgSize(limit.Request), grpc.ForceCodecV2(codec.New()))
	if err != nil {
		return err
	}
	s.running.Go(func() { st.write(g) })
	var in codec.Response
	for {
		err := g.RecvMsg(&in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if in.Message.GetPing() == nil {
			s.client.answered()
		}
		s.do(func(now clock.Instant, fx *session.Effects) { s.core.Received(now, st.id, &in.Message, fx) })
		answered()
	}
}

// write sends the queued messages. checkRequest has seen them, so gRPC can encode each. An error of Send means that the
// stream has ended; Recv returns the reason.
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
