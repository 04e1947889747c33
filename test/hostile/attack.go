package hostile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// The nodes of a test. The pairs use the first two. Attacks use the first one and their own.
const (
	SameNode  = "/local/same"
	OtherNode = "/local/other"
)

// An Attack is one way of using more than one's share of a server.
type Attack struct {
	Name  string
	Files int // the number of files that the server may have open; 0: the usual limit

	// run attacks until ctx ends.
	run func(ctx context.Context, t *target)
}

// Attacks returns the table of attacks.
func Attacks() []Attack { return slices.Concat(transportAttacks, requestAttacks) }

// target is the server that is attacked.
type target struct {
	addr string
	done atomic.Uint64 // units of the attack that were sent: frames, streams, requests
	cut  atomic.Uint64 // connections that the server has ended
}

// Run attacks the server for the given time, and returns a sentence about what happened.
func Run(ctx context.Context, addr, name string, d time.Duration) (string, error) {
	i := slices.IndexFunc(Attacks(), func(a Attack) bool { return a.Name == name })
	if i < 0 {
		return "", fmt.Errorf("there is no attack %q", name)
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	t := &target{addr: addr}
	Attacks()[i].run(ctx, t)

	return fmt.Sprintf("%s: sent %d units, %d connections ended", name, t.done.Load(), t.cut.Load()), nil
}

// repeat runs n goroutines. Each of them calls f again and again until ctx ends. f opens a connection and returns when
// that has ended. If the connection cannot be opened, or ends immediately, the next attempt is a moment later.
func (t *target) repeat(ctx context.Context, n int, f func(context.Context) error) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				if err := f(ctx); err != nil && ctx.Err() == nil {
					t.cut.Add(1)
				}
				if time.Since(began) < 10*time.Millisecond {
					wait(ctx, 10*time.Millisecond)
				}
			}
		})
	}
	all.Wait()
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// flood opens n connections and writes batches of frames to them until ctx ends. A batch contains units frames.
func flood(n, units int, batch func(w *wire)) func(context.Context, *target) {
	return func(ctx context.Context, t *target) {
		t.repeat(ctx, n, func(ctx context.Context) error {
			w, err := connect(ctx, t.addr)
			if err != nil {
				return err
			}
			defer w.Close()
			for ctx.Err() == nil {
				batch(w)
				if err := w.flush(); err != nil {
					return err
				}
				t.done.Add(uint64(units))
			}

			return nil
		})
	}
}

// client connects with the usual client of gRPC.
func (t *target) client() (Ydb_Coordination_V1.CoordinationServiceClient, *grpc.ClientConn, error) {
	conn, err := grpc.NewClient(t.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)))

	return Ydb_Coordination_V1.NewCoordinationServiceClient(conn), conn, err
}

type (
	request  = Ydb_Coordination.SessionRequest
	response = Ydb_Coordination.SessionResponse
	stream   = Ydb_Coordination_V1.CoordinationService_SessionClient
)

// attach opens a stream and attaches it to a new session.
func attach(
	ctx context.Context, c Ydb_Coordination_V1.CoordinationServiceClient,
	start *Ydb_Coordination.SessionRequest_SessionStart,
) (stream, uint64, error) {
	s, err := c.Session(ctx)
	if err != nil {
		return nil, 0, err
	}
	start.Path = cmp.Or(start.GetPath(), SameNode)
	if err := s.Send(startRequest(start)); err != nil {
		return nil, 0, err
	}
	m, err := s.Recv()
	if err != nil {
		return nil, 0, err
	}
	if m.GetSessionStarted() == nil {
		return nil, 0, fmt.Errorf("refused: %v", m)
	}

	return s, m.GetSessionStarted().GetSessionId(), nil
}

func startRequest(start *Ydb_Coordination.SessionRequest_SessionStart) *request {
	return &request{Request: &Ydb_Coordination.SessionRequest_SessionStart_{SessionStart: start}}
}

// answer answers a ping. It returns false for other messages.
func answer(s stream, m *response) bool {
	ping := m.GetPing()
	if ping == nil {
		return false
	}
	_ = s.Send(&request{Request: &Ydb_Coordination.SessionRequest_Pong{
		Pong: &Ydb_Coordination.SessionRequest_PingPong{Opaque: ping.GetOpaque()},
	}})

	return true
}
