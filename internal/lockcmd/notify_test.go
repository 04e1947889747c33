package lockcmd

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The service manager hears when lock waits, holds the lock and stops. A machine that stands by asks for more time.
func TestNotifier(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer socket.Close()
	require.NoError(t, socket.SetReadDeadline(time.Now().Add(time.Minute)))
	t.Setenv("NOTIFY_SOCKET", path)
	n := newNotifier(true)
	defer n.close()
	n.waiting()
	n.ready()
	n.stopping()
	var got []string
	for range 4 {
		b := make([]byte, 1000)
		size, err := socket.Read(b)
		require.NoError(t, err)
		got = append(got, strings.Split(string(b[:size]), "\n")...)
	}
	require.Equal(t, []string{
		"EXTEND_TIMEOUT_USEC=60000000", "STATUS=waiting for the lock", "READY=1", "STATUS=holding the lock",
		"STOPPING=1", "STATUS=stopping",
	}, got)
}
