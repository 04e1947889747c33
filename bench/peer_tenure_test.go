package bench

import (
	"context"
	"testing"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure"
)

// serveTenureCommand runs tenure serve on a directory. With -profiles, it runs the same server in a process of
// this test binary.
func serveTenureCommand(b *testing.B) *daemon {
	b.Helper()
	if *profiles != "" {
		return serveHost(disk)(b)
	}

	return startTenure(b, "--data", b.TempDir())
}

// serveTenureInMemory does the same without a directory.
func serveTenureInMemory(b *testing.B) *daemon {
	b.Helper()
	if *profiles != "" {
		return serveHost(memory)(b)
	}

	return startTenure(b, "--memory")
}

func startTenure(b *testing.B, args ...string) *daemon {
	b.Helper()
	addr := freeAddress(b)

	return startServer(b, addr, program(b, "..", "./cmd/tenure"), append([]string{"serve", "--listen", addr}, args...)...)
}

// serveHost runs a server process of this test binary.
func serveHost(k kind) func(*testing.B) *daemon {
	return func(b *testing.B) *daemon {
		b.Helper()
		h := startHost(b, k, b.TempDir())
		b.Cleanup(func() { h.stop(b) })

		return &daemon{addr: h.addr, pid: h.cmd.Process.Pid}
	}
}

// streams is a connection of raw gRPC streams, without a client library.
type streams struct{ *client }

func connectStreams(ctx context.Context, address string, _ bool) (connection, error) {
	c, err := connect(ctx, address)

	return streams{c}, err
}

func (s streams) worker(_ context.Context, lock string) (pair func() error, err error) {
	own, err := s.attach(0, time.Minute)
	if err != nil {
		return nil, err
	}

	return func() error {
		if err := own.acquire(lock); err != nil {
			return err
		}

		return own.release(lock)
	}, nil
}

func connectTenure(ctx context.Context, address string, _ bool) (connection, error) {
	c, err := tenure.Open(ctx, "grpc://"+address+database)
	if err == nil {
		err = c.CreateNode(ctx, nodePath, coordination.NodeConfig{})
	}

	return pathClient{c, nodePath}, err
}
