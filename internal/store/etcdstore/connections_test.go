package etcdstore

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tenure/internal/clock"
)

// handClock is a clock that only the test moves.
type handClock struct {
	clock.Clock

	now atomic.Int64
}

func (c *handClock) Now() clock.Instant { return clock.Instant(c.now.Load()) }

// A request that times out closes the connections to its member on which nothing has arrived since it began.
func TestConnections(t *testing.T) {
	t.Parallel()
	clk := &handClock{}
	clk.now.Store(1)
	c := newConnections(clk)
	var servers []net.Conn
	dial := func(to net.Listener) *connection {
		conn, err := c.dial(t.Context(), to.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		server, err := to.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { server.Close() })
		servers = append(servers, server)

		return conn.(*connection)
	}
	listen := func() net.Listener {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { lis.Close() })

		return lis
	}
	member, healthy := listen(), listen()
	first, second, other := dial(member), dial(member), dial(healthy)
	open := func() (open []bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, conn := range []*connection{first, second, other} {
			open = append(open, c.all[conn.LocalAddr().String()] == conn)
		}

		return open
	}
	// call makes a request on the first connection that has no answer for some time. Meanwhile, something happens.
	call := func(takes time.Duration, meanwhile func()) {
		err := c.call(t.Context(), "", nil, nil, nil, func(
			_ context.Context, _ string, _, _ any, _ *grpc.ClientConn, opts ...grpc.CallOption,
		) error {
			opts[0].(grpc.PeerCallOption).PeerAddr.LocalAddr = first.LocalAddr()
			clk.now.Add(int64(takes))
			meanwhile()

			return status.Error(codes.DeadlineExceeded, "")
		})
		require.Equal(t, codes.DeadlineExceeded, status.Code(err))
	}
	hear := func() {
		_, err := servers[0].Write([]byte("x"))
		require.NoError(t, err)
		_, err = first.Read(make([]byte, 1))
		require.NoError(t, err)
	}

	call(2*time.Second, hear)
	require.Equal(t, []bool{true, true, true}, open(), "the member has sent something")
	call(silence/2, func() {})
	require.Equal(t, []bool{true, true, true}, open(), "the caller was impatient")
	call(2*time.Second, func() {})
	require.Equal(t, []bool{false, false, true}, open())
}
