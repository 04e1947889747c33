package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/config"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"

	"tenure"
	"tenure/tenuretest"
)

// TestOpen_NoPings shows that a client sends its requests and nothing else, one packet for each.
func TestOpen_NoPings(t *testing.T) {
	t.Parallel()
	srv := tenuretest.NewServer(t)
	var sent frames
	c, err := tenure.Open(t.Context(), srv.DSN(), tenure.WithDriverOptions(ydb.With(
		config.WithGrpcOptions(grpc.WithContextDialer(sent.dial())))))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) }) //nolint:usetesting // the test's context has ended
	require.NoError(t, c.CreateNode(t.Context(), path, coordination.NodeConfig{}))
	s, err := c.Session(t.Context(), path)
	require.NoError(t, err)

	const rounds = 50
	for i := range rounds {
		name := fmt.Sprint(i)
		require.NoError(t, s.CreateSemaphore(t.Context(), name, 1))
	}

	require.GreaterOrEqual(t, sent.data.Load(), int64(rounds))
	require.Zero(t, sent.pings.Load(), "pings, beside %d frames with data", sent.data.Load())
}

// frames counts the HTTP/2 frames that a client sends.
type frames struct {
	data, pings atomic.Int64 // pings are those that ask for an answer
}

// dial returns a function that connects and counts what the client sends.
func (f *frames) dial() func(ctx context.Context, address string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		r, w := io.Pipe()
		go func() { r.CloseWithError(f.count(r)) }() // so the client's next write fails, and with it the test

		return countedConn{conn, w}, nil
	}
}

func (f *frames) count(r io.Reader) error {
	if _, err := io.ReadFull(r, make([]byte, len(http2.ClientPreface))); err != nil {
		return err
	}
	for framer := http2.NewFramer(io.Discard, r); ; {
		frame, err := framer.ReadFrame()
		if err != nil {
			return err
		}
		switch frame := frame.(type) {
		case *http2.DataFrame:
			f.data.Add(1)
		case *http2.PingFrame:
			if !frame.IsAck() {
				f.pings.Add(1)
			}
		}
	}
}

type countedConn struct {
	net.Conn

	sent *io.PipeWriter
}

func (c countedConn) Write(p []byte) (int, error) {
	if _, err := c.sent.Write(p); err != nil {
		return 0, err
	}

	return c.Conn.Write(p)
}

func (c countedConn) Close() error { return errors.Join(c.sent.Close(), c.Conn.Close()) }
