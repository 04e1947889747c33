package bench

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"tenure/bench/benchtest"
)

var (
	etcdFlag      = flag.String("etcd", "", "also measure etcdctl lock, with the etcd server at this address")
	zookeeperFlag = flag.String("zookeeper", "", "also measure a lock of a ZooKeeper server at this address")
)

// failoverTimeout is the session timeout of all tools.
const failoverTimeout = 10 * time.Second

// A lockTool is a command line that runs a command while it holds a lock on a server.
type lockTool struct {
	name string
	argv []string // the command is appended
	env  []string
}

// BenchmarkFailover kills the holder of a lock with SIGKILL while one other process waits for the lock on the same
// server. It measures the time from the kill to the first line of the next command. "overlaps" counts the runs in which
// the killed holder's command was still running at that moment.
func BenchmarkFailover(b *testing.B) {
	for _, tool := range lockTools(b) {
		b.Run("tool="+tool.name, func(b *testing.B) { benchmarkFailover(b, tool) })
	}
}

// lockTools starts tenure serve with a store on disk, and returns the tools to measure.
func lockTools(b *testing.B) []lockTool {
	b.Helper()
	server := exec.Command(program(b, "..", "./cmd/tenure"), "serve", "--listen", "127.0.0.1:0", "--data", b.TempDir())
	stdout, err := server.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, server.Start())
	b.Cleanup(func() {
		require.NoError(b, server.Process.Signal(unix.SIGTERM))
		require.NoError(b, server.Wait())
	})
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(b, err, "the server did not start")
	_, address, ok := strings.Cut(ready, "serving ")
	require.True(b, ok, "unexpected line %q", ready)
	dsn, _, _ := strings.Cut(address, ",")

	seconds := strconv.Itoa(int(failoverTimeout.Seconds()))
	tools := []lockTool{{
		name: "tenure",
		argv: []string{program(b, "..", "./cmd/lock"), "--ydb", dsn, "--timeout", seconds + "s", "failover", "--"},
	}}
	if *etcdFlag != "" {
		tools = append(tools, lockTool{
			name: "etcd",
			argv: []string{"etcdctl", "--endpoints", *etcdFlag, "lock", "--ttl", seconds, "failover", "--"},
			env:  []string{"ETCDCTL_API=3"},
		})
	}
	if *zookeeperFlag != "" {
		self, err := os.Executable()
		require.NoError(b, err)
		tools = append(tools, lockTool{
			name: "zookeeper", argv: []string{self}, env: []string{envZooKeeper + "=" + *zookeeperFlag},
		})
	}

	return tools
}

func benchmarkFailover(b *testing.B, tool lockTool) {
	b.Helper()
	var samples []time.Duration
	var overlaps int
	holder := startLocker(b, tool)
	holder.await(b)
	for b.Loop() {
		b.StopTimer()
		next := startLocker(b, tool)
		time.Sleep(rest) // until it waits; most tools do not say when
		b.StartTimer()
		killed := time.Now()
		require.NoError(b, holder.cmd.Process.Kill())
		next.await(b)
		if holder.commandRuns() {
			overlaps++
		}
		samples = append(samples, next.at.Sub(killed))
		holder.end()
		holder = next
	}
	b.ReportMetric(0, "ns/op") // would include the work of the benchmark itself
	b.ReportMetric(float64(overlaps), "overlaps")
	benchtest.ReportLatency(b, samples)
}

// A locker is a process of a lockTool. Its command prints its process id and then sleeps.
type locker struct {
	cmd     *exec.Cmd
	began   chan struct{} // closed when the command has printed its first line, or its output has ended; pid, at are set
	pid     int           // of the command; 0: it has not run
	at      time.Time
	stderr  bytes.Buffer
	stopped bool
}

// startLocker starts a locker. It ends with the benchmark at the latest.
func startLocker(b *testing.B, tool lockTool) *locker {
	b.Helper()
	argv := append(slices.Clip(tool.argv), "/bin/sh", "-c", "echo $$; exec sleep 1000")
	l := &locker{cmd: exec.Command(argv[0], argv[1:]...), began: make(chan struct{})}
	l.cmd.Env = append(os.Environ(), tool.env...)
	l.cmd.WaitDelay = time.Second // the command may have the output open after its parent has died
	l.cmd.Stderr = &l.stderr
	r, w, err := os.Pipe()
	require.NoError(b, err)
	l.cmd.Stdout = w
	require.NoError(b, l.cmd.Start())
	require.NoError(b, w.Close())
	go func() { // ends with the first line, or when no process has the pipe open
		defer close(l.began)
		line, err := bufio.NewReader(r).ReadString('\n')
		l.at = time.Now()
		if err == nil {
			l.pid, _ = strconv.Atoi(strings.TrimSpace(line))
		}
	}()
	b.Cleanup(func() {
		l.end()
		<-l.began
		_ = r.Close()
	})

	return l
}

// await waits until the command runs.
func (l *locker) await(b *testing.B) {
	b.Helper()
	select {
	case <-l.began:
	case <-time.After(6 * failoverTimeout):
		l.end()
	}
	if l.pid == 0 {
		l.end()
	}
	require.NotZero(b, l.pid, "the command does not run: %s", &l.stderr)
}

// commandRuns reports whether the command has not ended. A zombie has ended.
func (l *locker) commandRuns() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")

	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// end kills the locker, and its command in case that has survived.
func (l *locker) end() {
	if l.stopped {
		return
	}
	l.stopped = true
	_ = l.cmd.Process.Kill()
	if l.pid != 0 {
		_ = unix.Kill(l.pid, unix.SIGKILL)
	}
	_ = l.cmd.Wait()
}
