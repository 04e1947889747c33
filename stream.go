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

// stream is one gRPC stream of a session, or the attempt to open it. Its goroutine runs receive until ctx ends.
// Messages are sent by the goroutines that have queued them: waking another one takes more time than sending does.
type stream struct {
	id      session.StreamID
	ctx     *lifetime
	gone    chan struct{} // closed when receive has returned, so the SDK knows how the stream has ended
	codec   *codec.Requests
	running *sync.WaitGroup // of the session

	mu      sync.Mutex                                            // guards the rest; nobody sends while holding it
	open    Ydb_Coordination_V1.CoordinationService_SessionClient // nil before the stream is open, and after its end
	queue   []*pb.SessionRequest
	spare   []*pb.SessionRequest // an empty array for queue
	sending bool                 // a goroutine is sending, or Send has failed
}

// open starts a stream. It does not block. The caller holds mu.
func (s *Session) open(id session.StreamID) *stream {
	st := &stream{
		id: id, gone: make(chan struct{}), codec: codec.NewRequests(), running: &s.running,
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

// An opener opens the gRPC stream of a session. The comment on clientconfig.Driver says why a Client has it and not the
// connection.
type opener func(context.Context, *codec.Requests) (Ydb_Coordination_V1.CoordinationService_SessionClient, error)

func newOpener(conn grpc.ClientConnInterface) opener {
	stub := Ydb_Coordination_V1.NewCoordinationServiceClient(conn)

	return func(
		ctx context.Context, requests *codec.Requests,
	) (Ydb_Coordination_V1.CoordinationService_SessionClient, error) {
		// The driver may have a lower limit for sending, and a request above that limit ends the stream.
		return stub.Session(ctx,
			grpc.MaxCallRecvMsgSize(maxAnswer), grpc.MaxCallSendMsgSize(limit.Request), grpc.ForceCodecV2(requests))
	}
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

// receive opens the stream and passes each message to the core until the stream ends. It calls answered after the first
// message.
func (s *Session) receive(st *stream, answered func()) error {
	g, err := s.client.open(st.ctx, st.codec)
	if err != nil {
		return err
	}
	st.opened(g)
	defer st.ended()
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
