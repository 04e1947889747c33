package bench

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/bench/benchtest"
)

// BenchmarkLock measures the command lock with a tenure serve, and with the embedded server, which each run then
// starts: the time from its start until COMMAND has printed its first line, the resident memory of lock and of its
// guard while COMMAND runs, and the size of the program, which is the one that packages contain. "alone" is the time
// without lock.
func BenchmarkLock(b *testing.B) {
	b.Run("server=embedded", func(b *testing.B) { benchmarkLock(b, "--dir", filepath.Join(b.TempDir(), "state")) })
	if !testing.Short() {
		b.Run("server=remote", func(b *testing.B) {
			benchmarkLock(b, "--ydb", "grpc://"+serveTenureCommand(b).addr+database)
		})
	}
}

func benchmarkLock(b *testing.B, server ...string) {
	b.Helper()
	path, size := build(b, "..", "./tools/release/commands")
	command := []string{"/bin/sh", "-c", "echo $PPID; exec cat"}
	argv := slices.Concat([]string{path}, server, []string{"bench", "--"}, command)
	var began, alone []time.Duration
	var locks, guards, faults int64
	var cpu time.Duration
	for b.Loop() {
		took, end := runCommand(b, command, func(string) {})
		alone = append(alone, took)
		end()
		var lock, guard int64
		took, end = runCommand(b, argv, func(parent string) {
			pid, err := strconv.Atoi(parent)
			require.NoError(b, err)
			guard, err = resident(pid)
			require.NoError(b, err)
			lock, err = resident(parentOf(b, pid))
			require.NoError(b, err)
		})
		began = append(began, took)
		locks, guards = locks+lock, guards+guard
		state := end()
		cpu += state.UserTime() + state.SystemTime()
		faults += state.SysUsage().(*syscall.Rusage).Minflt
	}
	b.ReportMetric(0, "ns/op") // includes the end of the command
	b.ReportMetric(float64(locks)/float64(b.N), "lock-resident-B")
	b.ReportMetric(float64(guards)/float64(b.N), "guard-resident-B")
	b.ReportMetric(float64(size), "program-B")
	b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns") // of lock, its guard and COMMAND
	b.ReportMetric(float64(faults)/float64(b.N), "page-faults")
	benchtest.ReportLatency(b, began)
	slices.Sort(alone)
	b.ReportMetric(float64(benchtest.Quantile(alone, 50)), "alone-p50-ns")
}

// runCommand starts a command and returns the time until its first line. It passes the line to then. The command ends
// when its input does, which the caller must cause with end. The result of end includes the descendants of the command.
func runCommand(
	b *testing.B, argv []string, then func(line string),
) (took time.Duration, end func() *os.ProcessState) {
	b.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	start := time.Now()
	require.NoError(b, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	took = time.Since(start)
	require.NoError(b, err)
	then(strings.TrimSpace(line))

	return took, func() *os.ProcessState {
		require.NoError(b, in.Close())
		require.NoError(b, cmd.Wait())

		return cmd.ProcessState
	}
}

// parentOf returns the process id of the parent of a process.
func parentOf(b *testing.B, pid int) (parent int) {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(b, err)
	_, after, ok := strings.Cut(string(stat), ") ")
	require.True(b, ok)
	var state string
	_, err = fmt.Sscan(after, &state, &parent)
	require.NoError(b, err)

	return parent
}
