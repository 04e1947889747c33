package logs

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/bench/benchtest"
)

// Environment variables that make the test binary a process that uses a log.
const (
	envLog     = "TENURE_BENCH_LOG" // the name of the log
	envLogDir  = "TENURE_BENCH_LOG_DIR"
	envCommits = "TENURE_BENCH_LOG_COMMITS"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(envLog); name != "" {
		fmt.Fprintln(os.Stderr, useLog(name, os.Getenv(envLogDir), os.Getenv(envCommits)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// useLog opens a log, prints how long that took and how many live records it has, commits, says so, and waits until it
// is killed.
func useLog(name, dir, commits string) error {
	all := candidates()
	i := slices.IndexFunc(all, func(c candidate) bool { return c.name == name })
	if i < 0 {
		return errors.New("no log is called " + name)
	}
	var count uint64
	if _, err := fmt.Sscan(commits, &count); err != nil {
		return err
	}
	start := time.Now()
	l, live, err := all[i].open(dir, smallLog)
	if err != nil {
		return err
	}
	fmt.Println("opened", time.Since(start).Nanoseconds(), live)
	for i := range count {
		if err := l.commit(handover(1, i)); err != nil {
			return err
		}
	}
	fmt.Println("committed")
	_, err = bufio.NewReader(os.Stdin).ReadString('\n')

	return err
}

// BenchmarkOpen measures the time to open a log and to read its live records. The process before was killed after it
// had opened an empty log and made some commits. Each open happens in a new process, in which code and memory are cold,
// as they are when a client becomes the host of the embedded server.
func BenchmarkOpen(b *testing.B) {
	const commits = 5_000
	n := commits
	if testing.Short() {
		n = 50
	}
	for _, c := range candidates() {
		if c.name == "raw" {
			continue // it reads nothing back
		}
		b.Run(fmt.Sprintf("log=%s/commits=%d", c.name, n), func(b *testing.B) {
			var opens []time.Duration
			for range b.N {
				dir := b.TempDir()
				useAndKill(b, c.name, dir, n)
				took, live := useAndKill(b, c.name, dir, 0)
				require.Equal(b, 1, live)
				opens = append(opens, took)
			}
			b.ReportMetric(0, "ns/op") // would include the work of the benchmark itself
			benchtest.ReportLatency(b, opens)
		})
	}
}

// useAndKill runs a process that opens the log and commits, and kills it. It returns how long opening the log took, and
// how many live records it had.
func useAndKill(b *testing.B, name, dir string, commits int) (took time.Duration, live int) {
	b.Helper()
	self, err := os.Executable()
	require.NoError(b, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envLog+"="+name, envLogDir+"="+dir, fmt.Sprint(envCommits, "=", commits))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe() // open until the kill
	require.NoError(b, err)
	defer in.Close()
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	lines := bufio.NewReader(out)
	opened, _ := lines.ReadString('\n')
	committed, _ := lines.ReadString('\n')
	require.NoError(b, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	require.Equal(b, "committed\n", committed, "%s", &stderr)
	_, err = fmt.Sscanf(opened, "opened %d %d", &took, &live)
	require.NoError(b, err)

	return took, live
}
