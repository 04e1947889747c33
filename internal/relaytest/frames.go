package relaytest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"golang.org/x/net/http2"
)

// Frames counts the HTTP/2 frames that clients send on the connections that Dial has made.
type Frames struct {
	Data  atomic.Int64
	Pings atomic.Int64 // without the answers to pings
}

// Dial connects to an address host:port. It is a dialer of gRPC without TLS.
func (f *Frames) Dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	go func() { r.CloseWithError(f.count(r)) }() // ends with the connection; an error fails the client's next write

	return countedConn{conn, w}, nil
}

func (f *Frames) count(r io.Reader) error {
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
			f.Data.Add(1)
		case *http2.PingFrame:
			if !frame.IsAck() {
				f.Pings.Add(1)
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
