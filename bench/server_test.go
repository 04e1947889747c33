package bench

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"tenure/internal/relaytest"
)

// daemon is the process of a server.
type daemon struct {
	addr string
	pid  int
	stop func() // ends the process; calling it again is a no-op
}

// processorTime returns the CPU time, of user and system, that the process has used since its start.
func (s *daemon) processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	const sched = 2 // CPUCLOCK_SCHED of the kernel: precise, and of all threads
	var t unix.Timespec
	require.NoError(tb, unix.ClockGettime(int32(^s.pid<<3|sched), &t))

	return time.Duration(t.Nano())
}

// resident returns the resident set of a process in bytes.
func resident(pid int) (int64, error) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		return 0, err
	}

	return pages * int64(os.Getpagesize()), nil
}

// startServer starts the server of a peer and waits until it accepts connections. It ends with the benchmark.
func startServer(b *testing.B, addr, program string, args ...string) *daemon {
	b.Helper()
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoError(b, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the state has the result
	}()
	stop := sync.OnceFunc(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	b.Cleanup(stop)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			require.NoError(b, conn.Close())

			return &daemon{addr: addr, pid: cmd.Process.Pid, stop: stop}
		}
		select {
		case <-ended:
			require.FailNow(b, "the server has ended", "%v: %v: %s", cmd, cmd.ProcessState, &output)
		default:
		}
		require.True(b, time.Now().Before(deadline), "%v does not accept connections", cmd)
	}
}

// freeAddress returns a host and port on which nobody listens.
func freeAddress(b *testing.B) string {
	b.Helper()

	return relaytest.FreeAddress(b)
}

// installed returns the path of a program and skips the benchmark if there is none, or with -short.
func installed(b *testing.B, program, how string) string {
	b.Helper()
	if testing.Short() {
		b.Skip("not with -short")
	}
	path, err := exec.LookPath(program)
	if err != nil {
		b.Skipf("%s is not installed: %s", program, how)
	}

	return path
}
