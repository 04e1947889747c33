//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/programs/programstest"
)

// A standIn stands in for systemd: it starts the server, passes sockets to it, and receives what it says.
type standIn struct {
	t       *testing.T
	notify  *net.UnixConn
	sockets []*os.File
	names   []string
	env     []string
}

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	dir, err := os.MkdirTemp("", "tenure-") //nolint:usetesting // the path of a socket must be short
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { notify.Close() })
	require.NoError(t, notify.SetReadDeadline(time.Now().Add(soon)))

	return &standIn{t: t, notify: notify, env: []string{"NOTIFY_SOCKET=" + path}}
}

// listen opens a socket that the server gets under the name. The test keeps it open.
func (s *standIn) listen(name, network, address string) net.Addr {
	s.t.Helper()
	lis, err := net.Listen(network, address)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { lis.Close() })
	file, err := lis.(interface{ File() (*os.File, error) }).File()
	require.NoError(s.t, err)
	s.t.Cleanup(func() { file.Close() })
	s.sockets, s.names = append(s.sockets, file), append(s.names, name)

	return lis.Addr()
}

// start starts the server with the process id that systemd names in the environment.
func (s *standIn) start(args ...string) *exec.Cmd {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), soon)
	s.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{
		"-c", `LISTEN_PID=$$ WATCHDOG_PID=$$ exec "$0" "$@"`, os.Args[0], "serve",
	}, args...)...)
	cmd.ExtraFiles = s.sockets
	cmd.Env = append(s.env, fmt.Sprintf("LISTEN_FDS=%d", len(s.sockets)),
		"LISTEN_FDNAMES="+strings.Join(s.names, ":"))

	return cmd
}

// said returns the next message that is not about the watchdog.
func (s *standIn) said() string {
	s.t.Helper()
	for text := make([]byte, 4096); ; {
		n, err := s.notify.Read(text)
		require.NoError(s.t, err)
		if said := string(text[:n]); said != "WATCHDOG=1" {
			return said
		}
	}
}

func TestServe_TellsTheServiceManager(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	s.env = append(s.env, "WATCHDOG_USEC=100000")
	cmd := s.start("--listen", "127.0.0.1:0", "--memory", "--drain", "10ms")
	addr, stderr := begin(t, cmd)
	require.Equal(t, "READY=1\nSTATUS=serving grpc://"+addr+"/local", s.said())

	text := make([]byte, 100)
	for range 2 {
		n, err := s.notify.Read(text)
		require.NoError(t, err)
		require.Equal(t, "WATCHDOG=1", string(text[:n]))
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	require.Regexp(t, `^RELOADING=1(\nMONOTONIC_USEC=[1-9][0-9]*)?$`, s.said())
	require.Equal(t, "READY=1", s.said())
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=11210000", s.said())
	require.NoError(t, programstest.Wait(t, cmd), stderr)
}

// A connection that arrives while the server restarts is served by the next server.
func TestServe_TakesSocketsOfTheServiceManager(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	grpc := s.listen("tenure.socket", "tcp", "127.0.0.1:0").String()
	http := s.listen("http", "tcp", "127.0.0.1:0").String()
	unix := s.listen("tenure.socket", "unix", filepath.Join(filepath.Dir(s.notify.LocalAddr().String()), "s")).String()
	data := t.TempDir()

	first := s.start("--data", data)
	addr, stderr := begin(t, first)
	require.Equal(t, grpc, addr)
	require.True(t, strings.HasPrefix(s.said(), "READY=1\n"))
	status, text := get("http://" + http + "/readyz")
	require.Equal(t, 200, status, text)
	createNode(t, client(t, addr), "/local/kept")
	require.NoError(t, first.Process.Signal(syscall.SIGTERM))
	require.NoError(t, programstest.Wait(t, first), stderr)
	require.True(t, strings.HasPrefix(s.said(), "STOPPING=1\n"))

	for network, address := range map[string]string{"tcp": grpc, "unix": unix} {
		conn, err := net.Dial(network, address)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
	}
	waits := client(t, grpc)
	answered := make(chan error, 1)
	go func() {
		_, err := waits.DescribeNode(t.Context(), &Ydb_Coordination.DescribeNodeRequest{Path: "/local/kept"})
		answered <- err
	}()
	second := s.start("--data", data, "--listen", grpc)
	_, stderr = begin(t, second)
	require.NoError(t, <-answered)
	_, err := os.Stat(unix)
	require.NoError(t, err)
	require.NoError(t, second.Process.Signal(syscall.SIGTERM))
	require.NoError(t, programstest.Wait(t, second), stderr)
}

func TestServe_ChecksSocketsOfTheServiceManager(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	address := s.listen("tenure.socket", "tcp", "127.0.0.1:0").String()
	open := newStandIn(t)
	reachable := open.listen("http", "tcp", "0.0.0.0:0").String()
	deaf, err := os.Open(os.DevNull)
	require.NoError(t, err)
	t.Cleanup(func() { deaf.Close() })
	open.sockets, open.names = append(open.sockets, deaf), append(open.names, "deaf")
	for _, c := range []struct {
		from *standIn
		want string
	}{
		{s, `tenure: --listen="127.0.0.1:2136", but the service manager listens on ` + address +
			": leave listen out, or change ListenStream= in the socket unit\n"},
		{open, `tenure: the socket "deaf" of the service manager does not listen: use ListenStream= and Accept=no in its ` +
			"unit\ntenure: ListenStream=\"" + reachable + "\": other machines can reach this address: pass --tls-cert, " +
			"--tls-key, and --tokens or --tls-client-ca; or pass --insecure if you trust that network\n"},
	} {
		cmd := c.from.start("--memory", "--check", "--listen", "127.0.0.1:2136")
		cmd.Env = append(cmd.Env, asTenure+"=1", "GORACE=atexit_sleep_ms=0")
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, c.want, string(out))
	}
}
