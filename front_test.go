package tenure_test

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"tenure"
	"tenure/internal/clock"
)

// front is a front server, which in YDB is between the clients and the nodes. Tests control it through hooks.
type front struct {
	Ydb_Coordination_V1.UnimplementedCoordinationServiceServer
	node    Ydb_Coordination_V1.CoordinationServiceClient
	accepts *bufconn.Listener

	mu      sync.Mutex                             // guards the rest
	request func(*relay, *pb.SessionRequest) bool  // reports whether to pass a message to the node; nil: pass all
	result  func(*relay, *pb.SessionResponse) bool // reports whether to pass a message to the client; nil: pass all
	relays  map[*relay]struct{}
	start   *pb.SessionRequest_SessionStart // the newest one
}

// relay is one stream from a client to the front server, and the corresponding stream from there to the node.
type relay struct {
	front  *front
	client Ydb_Coordination_V1.CoordinationService_SessionServer
	end    context.CancelFunc // ends both streams
	node   Ydb_Coordination_V1.CoordinationService_SessionClient
	leave  context.CancelFunc // ends only the stream to the node

	mu sync.Mutex // held while sending to the client
}

// behind returns a client that is connected to a front server.
func (w *world) behind(clocks ...clock.Clock) (*tenure.Client, *front) {
	f := &front{
		node:    Ydb_Coordination_V1.NewCoordinationServiceClient(w.direct()),
		accepts: bufconn.Listen(1 << 16), relays: make(map[*relay]struct{}),
	}
	g := grpc.NewServer(grpc.WaitForHandlers(true))
	Ydb_Coordination_V1.RegisterCoordinationServiceServer(g, f)
	served := make(chan error, 1)
	go func() { served <- g.Serve(f.accepts) }()
	w.Cleanup(func() {
		g.Stop()
		require.NoError(w, <-served)
	})

	return w.client(connect(w.T, func(ctx context.Context, _ string) (net.Conn, error) {
		return f.accepts.DialContext(ctx)
	}), clocks...), f
}

// Session implements the service.
func (f *front) Session(client Ydb_Coordination_V1.CoordinationService_SessionServer) error {
	ctx, end := context.WithCancel(client.Context())
	defer end()
	upstream, leave := context.WithCancel(ctx)
	defer leave()
	node, err := f.node.Session(upstream)
	if err != nil {
		return err
	}
	r := &relay{front: f, client: client, end: end, node: node, leave: leave}
	f.mu.Lock()
	f.relays[r] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.relays, r)
	}()

	var running sync.WaitGroup
	running.Go(r.up)
	running.Go(r.down)
	<-ctx.Done()
	running.Wait()

	return nil
}

func (f *front) hooks() (func(*relay, *pb.SessionRequest) bool, func(*relay, *pb.SessionResponse) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()

	return f.request, f.result
}

func (f *front) onRequest(hook func(*relay, *pb.SessionRequest) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.request = hook
}

func (f *front) onResult(hook func(*relay, *pb.SessionResponse) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result = hook
}

// each calls do for every open stream.
func (f *front) each(do func(*relay)) {
	f.mu.Lock()
	relays := make([]*relay, 0, len(f.relays))
	for r := range f.relays {
		relays = append(relays, r)
	}
	f.mu.Unlock()
	for _, r := range relays {
		do(r)
	}
}

// up passes messages from the client to the node. When the client's stream ends, up ends both.
func (r *relay) up() {
	for {
		m, err := r.client.Recv()
		if err != nil {
			r.end()

			return
		}
		if s := m.GetSessionStart(); s != nil {
			r.front.mu.Lock()
			r.front.start = s
			r.front.mu.Unlock()
		}
		request, _ := r.front.hooks()
		if request == nil || request(r, m) {
			_ = r.node.Send(m) // down notices errors
		}
	}
}

// down passes messages from the node to the client. When the node's stream ends, down ends both, unless the result hook
// returns false for a nil message.
func (r *relay) down() {
	for {
		m, err := r.node.Recv()
		if err != nil {
			if _, result := r.front.hooks(); result == nil || result(r, nil) {
				r.end()
			}

			return
		}
		_, result := r.front.hooks()
		if result == nil || result(r, m) {
			r.say(m)
		}
	}
}

func (r *relay) say(m *pb.SessionResponse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.client.Send(m)
}

// fail sends a Failure to the client and ends both streams.
func (r *relay) fail(code Ydb.StatusIds_StatusCode) {
	r.say(failure(code))
	r.end()
}

func failure(code Ydb.StatusIds_StatusCode) *pb.SessionResponse {
	return &pb.SessionResponse{Response: &pb.SessionResponse_Failure_{Failure: &pb.SessionResponse_Failure{
		Status: code, Issues: []*Ydb_Issue.IssueMessage{{Message: "says the front"}},
	}}}
}

// cutOff cuts the front server off from the node. The node sees the end of every stream, while the front server keeps
// sending and answering pings.
func (f *front) cutOff() {
	f.onRequest(func(r *relay, m *pb.SessionRequest) bool {
		if p := m.GetPing(); p != nil {
			r.say(&pb.SessionResponse{Response: &pb.SessionResponse_Pong{
				Pong: &pb.SessionResponse_PingPong{Opaque: p.GetOpaque()},
			}})
		}

		return false
	})
	f.onResult(func(_ *relay, m *pb.SessionResponse) bool { return m.GetPing() != nil })
	f.each(func(r *relay) {
		r.leave()
		go func() {
			for opaque := uint64(1); r.client.Context().Err() == nil; opaque++ {
				r.say(&pb.SessionResponse{Response: &pb.SessionResponse_Ping{
					Ping: &pb.SessionResponse_PingPong{Opaque: opaque},
				}})
				time.Sleep(20 * time.Millisecond)
			}
		}()
	})
}
