package dsn_test

import (
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// unacceptingHost returns the address of a listener whose queue of connections is full, so that Linux drops the packets
// of further connections as a firewall does.
func unacceptingHost(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	bound, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	host := "127.0.0.1:" + strconv.Itoa(bound.(*syscall.SockaddrInet4).Port)
	for {
		c, err := net.DialTimeout("tcp", host, 200*time.Millisecond)
		if err != nil {
			return host
		}
		t.Cleanup(func() { _ = c.Close() })
	}
}

// The dialer and the context watch the same deadline, and the dialer may be the first to see that it has passed.
func TestOpen_DroppedPackets(t *testing.T) {
	t.Parallel()
	host := unacceptingHost(t)
	for range 10 {
		_, err := open(t, "grpc://HOST/local", host, 100*time.Millisecond)
		require.EqualError(t, err, "no answer from "+host+
			" within 100ms: check --ydb, and whether a firewall drops the connection")
	}
}
