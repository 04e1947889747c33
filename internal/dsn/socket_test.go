package dsn_test

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/server"
)

// serveSocket serves at a Unix socket, and returns its path.
func serveSocket(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	lis, err := net.Listen("unix", path)
	require.NoError(t, err)
	s, err := server.New()
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.Serve(lis) }()
	t.Cleanup(func() {
		require.NoError(t, s.Stop(t.Context()))
		require.NoError(t, <-served)
	})

	return path
}

// A driver works over a Unix socket.
func TestAddress_OpenSocket(t *testing.T) {
	t.Parallel()
	path := serveSocket(t)
	me, err := user.Current()
	require.NoError(t, err)
	for _, more := range []string{"", "?user=" + me.Uid, "?user=" + me.Username, "?database=/local"} {
		db, err := open(t, "unix://"+path+more, "", 10*time.Second)
		require.NoError(t, err)
		require.NoError(t, db.Coordination().CreateNode(t.Context(), "/local/node", coordination.NodeConfig{}))
		require.NoError(t, db.Close(t.Context()))
	}
}

func TestAddress_OpenSocketErrors(t *testing.T) {
	t.Parallel()
	path := serveSocket(t)
	me, err := user.Current()
	require.NoError(t, err)
	left := filepath.Join(t.TempDir(), "left")
	lis, err := net.Listen("unix", left)
	require.NoError(t, err)
	lis.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, lis.Close())
	silent := filepath.Join(t.TempDir(), "silent")
	lis, err = net.Listen("unix", silent)
	require.NoError(t, err)
	t.Cleanup(func() { _ = lis.Close() })
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	const start = `start one with "tenure serve --socket %s", or check --ydb`
	for address, want := range map[string]string{
		"/none/socket": fmt.Sprintf("no server at /none/socket (no such file): "+start, "/none/socket"),
		left:           fmt.Sprintf("no server at %s (it has ended): "+start, left, left),
		file:           fmt.Sprintf("no server at %s (it has ended): "+start, file, file),
		silent: fmt.Sprintf("no answer from %s within 100ms: it accepts connections but sends nothing: check that the "+
			"server is not stopped or overloaded, and the path in --ydb", silent),
		path + "?user=4711": fmt.Sprintf("the server at %s belongs to the user %s, and not to 4711: check the user in "+
			"--ydb, and who has created the socket", path, me.Username),
	} {
		limit := 10 * time.Second
		if address == silent {
			limit = 100 * time.Millisecond
		}
		_, err := open(t, "unix://"+address, "", limit)
		require.EqualError(t, err, want)
	}
}
