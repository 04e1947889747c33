package main

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"

	"tenure/internal/programs/programstest"
)

// A signal ends the server within 2 s, whatever its clients do. The time is compared with that of a server without
// clients, because every process takes long to end on a busy machine. The machine may also pause once.
func TestServe_SignalEndsItWithin2Seconds(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var took, usual time.Duration
			for range 3 {
				usual, took = endsIn(t, sig, func(string) {}), endsIn(t, sig, func(addr string) {
					silent, err := net.Dial("tcp", addr)
					require.NoError(t, err)
					t.Cleanup(func() { silent.Close() })
					deaf(t, addr)
				})
				if took < usual+2*time.Second {
					return
				}
			}
			require.Less(t, took, usual+2*time.Second)
		})
	}
}

// endsIn returns how long a server takes to end after a signal. Before the signal, it lets clients connect.
func endsIn(t *testing.T, sig os.Signal, connect func(addr string)) time.Duration {
	t.Helper()
	cmd, addr, stderr := process(t, "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir())
	connect(addr)
	began := time.Now()
	require.NoError(t, cmd.Process.Signal(sig))
	require.NoError(t, programstest.Wait(t, cmd), stderr)

	return time.Since(began)
}

// process starts this binary as tenure, and waits until it is ready. It has the race detector if the test has it.
func process(t *testing.T, args ...string) (cmd *exec.Cmd, addr string, stderr *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*soon) // kills a process that does not end
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, os.Args[0], args...)
	addr, stderr = begin(t, cmd)

	return cmd, addr, stderr
}

// begin starts a command that is this binary as tenure, and waits until it is ready.
func begin(t *testing.T, cmd *exec.Cmd) (addr string, stderr *bytes.Buffer) {
	t.Helper()
	stderr = &bytes.Buffer{}
	cmd.Env, cmd.Stderr = append(cmd.Env, asTenure+"=1", "GORACE=atexit_sleep_ms=0"), stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, stderr)
	found := readyLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
	require.NotNil(t, found, line)

	return found[1], stderr
}

// deaf attaches a client that asks for more than the flow control windows hold, and never reads the answers.
func deaf(t *testing.T, addr string) {
	t.Helper()
	c := client(t, addr)
	createNode(t, c, "/local/node")
	stream, err := c.Session(t.Context())
	require.NoError(t, err)
	send := func(r *Ydb_Coordination.SessionRequest) { require.NoError(t, stream.Send(r)) }
	send(&Ydb_Coordination.SessionRequest{Request: &Ydb_Coordination.SessionRequest_SessionStart_{
		SessionStart: &Ydb_Coordination.SessionRequest_SessionStart{Path: "/local/node", TimeoutMillis: 60_000},
	}})
	send(&Ydb_Coordination.SessionRequest{Request: &Ydb_Coordination.SessionRequest_CreateSemaphore_{
		CreateSemaphore: &Ydb_Coordination.SessionRequest_CreateSemaphore{
			Name: "large", Limit: 1, Data: make([]byte, 1<<20),
		},
	}})
	awaitCreated(t, stream)
	for range 3 {
		send(&Ydb_Coordination.SessionRequest{Request: &Ydb_Coordination.SessionRequest_DescribeSemaphore_{
			DescribeSemaphore: &Ydb_Coordination.SessionRequest_DescribeSemaphore{Name: "large"},
		}})
	}
}

func awaitCreated(t *testing.T, stream Ydb_Coordination_V1.CoordinationService_SessionClient) {
	t.Helper()
	for {
		m, err := stream.Recv()
		require.NoError(t, err)
		if m.GetCreateSemaphoreResult() != nil {
			return
		}
	}
}
