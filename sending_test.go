package tenure_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"
	"google.golang.org/grpc"

	"tenure"
	core "tenure/internal/session"
)

// If the network takes nothing, calls still end with their contexts, however much they would send.
func TestSending_NetworkTakesNothing(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		c, n := w.far()
		s := w.session(c, 30*time.Second)
		w.hold(s)
		n.up.darken()
		defer n.up.lighten()
		data := options.WithAcquireData(make([]byte, 8<<10))
		for i := range 500 { // gRPC takes less than a megabyte of this
			ctx, cancel := context.WithTimeout(w.Context(), time.Millisecond)
			from := time.Now()
			_, err := s.AcquireSemaphore(ctx, fmt.Sprint(i), coordination.Shared, options.WithEphemeral(true), data)
			require.ErrorIs(w, err, context.DeadlineExceeded)
			require.Equal(w, time.Millisecond, time.Since(from))
			cancel()
		}
	})
}

// gate is a connection whose streams may block in SendMsg, like those of a program with a callback that blocks.
type gate struct {
	grpc.ClientConnInterface

	shut atomic.Bool
	pass chan struct{}           // SendMsg receives from it while the gate is shut
	sent chan *pb.SessionRequest // the requests that have passed the gate
}

func newGate(conn grpc.ClientConnInterface) *gate {
	return &gate{ClientConnInterface: conn, pass: make(chan struct{}), sent: make(chan *pb.SessionRequest, 100)}
}

func (g *gate) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	s, err := g.ClientConnInterface.NewStream(ctx, desc, method, opts...)

	return gated{s, g}, err
}

type gated struct {
	grpc.ClientStream

	gate *gate
}

func (s gated) SendMsg(m any) error {
	if s.gate.shut.Load() {
		<-s.gate.pass
	}
	s.gate.sent <- m.(*pb.SessionRequest)

	return s.ClientStream.SendMsg(m)
}

// User code that blocks in SendMsg does not delay the end of a lease, whether a call or a renewal has run into it.
func TestSending_UserCodeBlocks(t *testing.T) {
	t.Parallel()
	for _, call := range []bool{false, true} {
		t.Run(fmt.Sprint("call=", call), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				g := newGate(w.direct())
				s := w.session(w.client(g), 10*time.Second)
				l := w.hold(s)
				rival := w.rival()
				g.shut.Store(true)
				defer close(g.pass)
				if call {
					go func() { _ = s.UpdateSemaphore(w.Context(), "other") }()
				}
				took, why := w.ends(l)
				require.LessOrEqual(w, took, core.Believed(10*time.Second))
				require.ErrorIs(w, why, tenure.ErrDeadlinePassed)
				w.granted(rival)
			})
		})
	}
}

// A goroutine that sends also sends the messages that others queue meanwhile, in the order of the calls. The others do
// not wait for it, and it returns when it has sent some of them.
func TestSending_ForOthers(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		g := newGate(w.direct())
		s := w.session(w.client(g), 10*time.Second)
		synctest.Wait() // the answer to the first ping has been sent
		for len(g.sent) > 0 {
			<-g.sent
		}
		g.shut.Store(true)
		open := sync.OnceFunc(func() { close(g.pass) })
		defer open()
		const calls, some = 50, 20
		ended := make(chan error, calls)
		for i := range calls {
			go func() { ended <- s.UpdateSemaphore(w.Context(), fmt.Sprint(i)) }()
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(w.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(w, s.UpdateSemaphore(ctx, "last"), context.DeadlineExceeded)
		require.Empty(w, g.sent)

		reopened := time.Now()
		for range some {
			g.pass <- struct{}{}
		}
		synctest.Wait()
		require.Len(w, ended, some)
		open()
		synctest.Wait()
		require.Len(w, ended, calls)
		for i := range calls {
			require.Equal(w, fmt.Sprint(i), (<-g.sent).GetUpdateSemaphore().GetName())
		}
		require.Equal(w, "last", (<-g.sent).GetUpdateSemaphore().GetName())
		require.Zero(w, time.Since(reopened))
	})
}
