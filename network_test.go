package tenure_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// network simulates the network between one client and its server, with the properties of TCP. Bytes arrive in order or
// not at all, may be late, and are delivered after an interruption.
type network struct {
	up, down lane
	refuse   atomic.Bool // refuse new connections

	mu    sync.Mutex            // guards wires
	wires map[net.Conn]struct{} // nil after the end of the test

	ended   chan struct{}
	running sync.WaitGroup
}

// lane is one direction of a network.
type lane struct {
	mu    sync.Mutex    // guards the rest
	light chan struct{} // closed while the lane delivers bytes
	delay time.Duration // latency of each byte
	pace  time.Duration // transmission time of each KiB
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{wires: make(map[net.Conn]struct{}), ended: make(chan struct{})}
	n.up.light, n.down.light = make(chan struct{}), make(chan struct{})
	close(n.up.light)
	close(n.down.light)
	t.Cleanup(func() {
		close(n.ended)
		n.cut()
		n.mu.Lock()
		n.wires = nil
		n.mu.Unlock()
		n.running.Wait()
	})

	return n
}

// dial returns a dial function for gRPC. Each connection goes through the network to one that accept returns.
func (n *network) dial(accept func(context.Context) (net.Conn, error)) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, _ string) (net.Conn, error) {
		if n.refuse.Load() {
			return nil, syscall.ECONNREFUSED
		}
		server, err := accept(ctx)
		if err != nil {
			return nil, err
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.wires == nil {
			_ = server.Close()

			return nil, net.ErrClosed
		}
		client, wire := net.Pipe()
		n.wires[server], n.wires[wire] = struct{}{}, struct{}{}
		n.running.Go(func() { n.carry(&n.up, server, wire) })
		n.running.Go(func() { n.carry(&n.down, wire, server) })

		return client, nil
	}
}

// connect returns a gRPC connection that uses dial.
func connect(
	t *testing.T, dial func(context.Context, string) (net.Conn, error), opts ...grpc.DialOption,
) *grpc.ClientConn {
	t.Helper()
	quickly := backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: 100 * time.Millisecond}
	conn, err := grpc.NewClient("passthrough:server", append(opts, grpc.WithContextDialer(dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: quickly, MinConnectTimeout: time.Second}))...)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })

	return conn
}

// cut breaks every connection. Both ends notice, and new connections can be made.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for w := range n.wires {
		w.Close()
	}
	clear(n.wires)
}

// chunk is the result of one read.
type chunk struct {
	data []byte
	due  time.Time
}

// carry copies bytes from src to dst until one of them is closed.
func (n *network) carry(l *lane, dst, src net.Conn) {
	chunks := make(chan chunk, 1<<10)
	n.running.Go(func() {
		defer close(chunks)
		for {
			data := make([]byte, 1<<12)
			read, err := src.Read(data)
			if err != nil {
				return
			}
			select {
			case chunks <- chunk{data[:read], time.Now().Add(l.latency())}:
			case <-n.ended:
				return
			}
		}
	})
	for c := range chunks {
		time.Sleep(time.Until(c.due))
		time.Sleep(l.passage(len(c.data)))
		n.awaitLight(l)
		if _, err := dst.Write(c.data); err != nil {
			break
		}
	}
	n.awaitLight(l)
	dst.Close()
	src.Close()
	for range chunks { // drop the rest
	}
}

func (l *lane) latency() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.delay
}

// passage returns the transmission time of the given number of bytes.
func (l *lane) passage(bytes int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.pace * time.Duration(bytes) / (1 << 10)
}

// awaitLight waits until the lane delivers bytes.
func (n *network) awaitLight(l *lane) {
	l.mu.Lock()
	light := l.light
	l.mu.Unlock()
	select {
	case <-light:
	case <-n.ended:
	}
}

// darken stops the delivery of bytes until lighten.
func (l *lane) darken() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.light = make(chan struct{})
}

func (l *lane) lighten() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.light)
}

func (l *lane) slow(delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = delay
}

// throttle sets the transmission time of each KiB.
func (l *lane) throttle(pace time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pace = pace
}
