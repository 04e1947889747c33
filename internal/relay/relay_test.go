package relay_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"tenure/internal/clock"
	"tenure/internal/clock/clocktest"
	"tenure/internal/codec"
	"tenure/internal/panics"
	"tenure/internal/relay"
	"tenure/internal/relaytest"
	"tenure/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const method = "/test/Stream"

// other starts a server that serves streams with the handler, and returns its address.
func other(t *testing.T, handler grpc.StreamHandler) string {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := grpc.NewServer(
		grpc.UnknownServiceHandler(handler), grpc.ForceServerCodecV2(codec.New()), grpc.WaitForHandlers(true),
	)
	served := make(chan error, 1)
	go func() { served <- g.Serve(lis) }()
	t.Cleanup(func() {
		g.Stop()
		require.NoError(t, <-served)
	})

	return lis.Addr().String()
}

// client is the stream of a client.
type client struct {
	grpc.ServerStream

	ctx      context.Context //nolint:containedctx // of the stream
	requests chan string
	sent     chan string
	reads    chan struct{} // closed while the client reads
}

func newClient(t *testing.T) *client {
	t.Helper()
	c := &client{
		ctx: t.Context(), requests: make(chan string), sent: make(chan string, 100), reads: make(chan struct{}),
	}

	return c
}

func (c *client) Context() context.Context { return c.ctx }

func (c *client) RecvMsg(m any) error {
	select {
	case text := <-c.requests:
		*m.(*codec.Raw) = raw(text)

		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

func (c *client) SendMsg(m any) error {
	select {
	case <-c.reads:
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
	data := m.(*codec.Raw).Data
	c.sent <- string(data.Materialize())
	data.Free()

	return nil
}

func raw(text string) codec.Raw { return codec.Raw{Data: mem.BufferSlice{mem.SliceBuffer(text)}} }

// receipts counts the bytes of messages that are being passed on.
type receipts struct {
	mu    sync.Mutex
	bytes int
}

type receipt struct {
	of    *receipts
	bytes int
}

func (r *receipts) hold(bytes int) wire.Receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes += bytes

	return receipt{r, bytes}
}

func (r receipt) Sent() {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.of.bytes -= r.bytes
}

func call(c *client, clk clock.Clock, running *sync.WaitGroup, r *receipts) relay.Call {
	return relay.Call{
		Client: c, Method: method, Header: metadata.Pairs("who", "ann"), First: new(raw("first")), Clock: clk,
		Running: running, Hold: r.hold,
	}
}

func newPool(t *testing.T, most int) *relay.Pool {
	t.Helper()
	p := relay.NewPool(insecure.NewCredentials(), most)
	t.Cleanup(p.Close)

	return p
}

// A stream is the same on the other side: the header, the messages, and how it ends.
func TestForward(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]error{"ok": nil, "error": status.Error(codes.InvalidArgument, "no")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := other(t, func(_ any, g grpc.ServerStream) error {
				require.Equal(t, []string{"ann"}, metadata.ValueFromIncomingContext(g.Context(), "who"))
				for _, want := range []string{"first", "second"} {
					var m codec.Raw
					if err := g.RecvMsg(&m); err != nil || string(m.Data.Materialize()) != want {
						return errors.Join(err, errors.New("another message"))
					}
					if err := g.SendMsg(&m); err != nil {
						return err
					}
				}
				g.SetTrailer(metadata.Pairs("last", "word"))

				return end
			})
			c, running := newClient(t), new(sync.WaitGroup)
			close(c.reads)
			go func() { c.requests <- "second" }()
			ctx, cancel := context.WithCancel(t.Context())
			c.ctx = ctx
			trailer, err := newPool(t, 1).Forward(ctx, address, call(c, clock.Go(), running, new(receipts)))
			require.Equal(t, end == nil, err == nil, err)
			require.Equal(t, status.Code(end), status.Code(err))
			require.Equal(t, []string{"word"}, trailer.Get("last"))
			require.Equal(t, "first", <-c.sent)
			require.Equal(t, "second", <-c.sent)
			cancel() // as gRPC does
			running.Wait()
		})
	}
}

// broken is a client whose stream panics.
type broken struct {
	*client

	sends bool // panics when a message is sent to it, not when one is read from it
}

func (b *broken) SendMsg(m any) error {
	if b.sends {
		panic("SendMsg")
	}

	return b.client.SendMsg(m)
}

func (b *broken) RecvMsg(any) error { panic("RecvMsg") }

// A panic ends its stream, and nothing else.
func TestForward_Panic(t *testing.T) {
	t.Parallel()
	for name, sends := range map[string]bool{"RecvMsg": false, "SendMsg": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := other(t, func(_ any, g grpc.ServerStream) error {
				var m codec.Raw
				if err := errors.Join(g.RecvMsg(&m), g.SendMsg(&m)); err != nil {
					return err
				}
				<-g.Context().Done()

				return nil
			})
			c, running := newClient(t), new(sync.WaitGroup)
			close(c.reads)
			ctx, cancel := context.WithCancel(t.Context())
			c.ctx = ctx
			call := call(c, clock.Go(), running, new(receipts))
			call.Client = &broken{c, sends}
			_, err := newPool(t, 1).Forward(ctx, address, call)
			var panicked *panics.Error
			require.ErrorAs(t, err, &panicked)
			require.Equal(t, name, panicked.Value)
			require.NotEmpty(t, panicked.Stack)
			cancel()
			running.Wait()
		})
	}
}

// A call that does not reach the other server is not taken for one that it has ended.
func TestForward_Unreachable(t *testing.T) {
	t.Parallel()
	var running sync.WaitGroup
	address := relaytest.FreeAddress(t)
	_, err := newPool(t, 1).Forward(t.Context(), address, call(newClient(t), clock.Go(), &running, nil))
	require.ErrorIs(t, err, relay.ErrUnreachable)
}

// A client that does not read for long is given up. So is one that does not read its last message.
func TestForward_Stalled(t *testing.T) {
	t.Parallel()
	address := other(t, func(_ any, g grpc.ServerStream) error {
		if err := g.SendMsg(new(raw("answer"))); err != nil {
			return err
		}
		<-g.Context().Done()

		return nil
	})
	for name, wait := range map[string]time.Duration{"stalled": relay.Stall, "stopped": time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, clk, running := newClient(t), clocktest.New(), new(sync.WaitGroup)
			ctx, cancel := context.WithCancel(t.Context())
			c.ctx = ctx
			stream, stop := context.WithCancelCause(ctx)
			done := make(chan error)
			sending := &sending{client: c, begun: make(chan struct{})}
			with := call(c, clk, running, nil)
			with.Client = sending
			go func() {
				_, err := newPool(t, 1).Forward(stream, address, with)
				done <- err
			}()
			<-sending.begun
			if name == "stopped" {
				stop(errors.New("stopping"))
			}
			now := clk.Now()
			for reached := false; !reached; {
				require.NoError(t, clk.Settle(t.Context()))
				reached = clk.Step(now.Add(2 * wait))
			}
			require.ErrorIs(t, <-done, relay.ErrStalled)
			cancel()
			stop(nil)
			running.Wait()
		})
	}
}

// sending says when a message is being sent.
type sending struct {
	*client

	begun chan struct{}
}

func (s *sending) SendMsg(m any) error {
	close(s.begun)

	return s.client.SendMsg(m)
}

// What a client sends waits in the client if the other server does not read: at most one large message is on its way.
func TestForward_OtherDoesNotRead(t *testing.T) {
	t.Parallel()
	address := other(t, func(_ any, g grpc.ServerStream) error {
		if err := g.SendMsg(new(raw("answer"))); err != nil {
			return err
		}
		<-g.Context().Done()

		return nil
	})
	c, running, held := newClient(t), new(sync.WaitGroup), new(receipts)
	close(c.reads)
	ctx, cancel := context.WithCancel(t.Context())
	c.ctx = ctx
	done := make(chan error)
	go func() {
		_, err := newPool(t, 1).Forward(ctx, address, call(c, clock.Go(), running, held))
		done <- err
	}()
	large := string(make([]byte, 1<<20))
	c.requests <- large
	select {
	case c.requests <- large:
		require.Fail(t, "another message was read")
	case <-time.After(50 * time.Millisecond):
	}
	held.mu.Lock()
	require.Equal(t, len(large), held.bytes)
	held.mu.Unlock()
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	running.Wait()
}

// A pool opens another connection when one has as many calls as it may have, and closes those to servers that are gone.
func TestPool(t *testing.T) {
	t.Parallel()
	addresses := make(chan string, 2)
	address := other(t, func(_ any, g grpc.ServerStream) error {
		p, _ := peer.FromContext(g.Context())
		addresses <- p.Addr.String()
		<-g.Context().Done()

		return nil
	})
	pool, running := newPool(t, 1), new(sync.WaitGroup)
	require.Empty(t, pool.Addresses())
	done := make(chan error)
	for range 2 {
		go func() {
			_, err := pool.Forward(t.Context(), address, call(newClient(t), clock.Go(), running, nil))
			done <- err
		}()
	}
	first := <-addresses
	require.NotEqual(t, first, <-addresses)
	pool.Drop("another one")
	require.Equal(t, []string{address}, pool.Addresses())
	pool.Drop(address)
	require.Empty(t, pool.Addresses())
	require.ErrorIs(t, <-done, relay.ErrBroken)
	require.ErrorIs(t, <-done, relay.ErrBroken)
	running.Wait()
}
