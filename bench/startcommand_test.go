package bench

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkStartCommand measures what lock costs before and while it runs a short COMMAND. It reports the time from the
// start of lock to the start of COMMAND, the processor time of lock, its guard and COMMAND together, and the largest
// resident sets of lock and of the guard. The state directory and the node exist. "none" is COMMAND without lock.
func BenchmarkStartCommand(b *testing.B) {
	tools := lockTools(b)
	binary, dsn := tools[0].argv[0], tools[0].argv[2]
	state := filepath.Join(b.TempDir(), "state")
	for _, c := range []struct {
		name string
		argv []string
	}{
		{"none", nil},
		{"embedded", []string{binary, "--dir", state, "start", "--"}},
		{"dsn", []string{binary, "--ydb", dsn, "start", "--"}},
	} {
		b.Run("server="+c.name, func(b *testing.B) { benchmarkStartCommand(b, c.argv) })
	}
}

// reportStart is a COMMAND that prints when it has started, in nanoseconds, and the largest resident sets of its
// parent, which is the guard, and of the parent of that, which is lock, in KiB.
const reportStart = `date +%s%N
guard=/proc/$PPID/status
holder=/proc/$(sed -n 's/^PPid:[[:space:]]*//p' $guard)/status
sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB$/\1/p' $guard $holder`

func benchmarkStartCommand(b *testing.B, argv []string) {
	b.Helper()
	locked := len(argv) > 0
	argv = append(argv, "sh", "-c", reportStart)
	once := func() (started, cpu time.Duration, memory []float64) {
		cmd := exec.Command(argv[0], argv[1:]...)
		began := time.Now()
		out, err := cmd.Output()
		require.NoError(b, err)
		words := strings.Fields(string(out))
		at, err := strconv.ParseInt(words[0], 10, 64)
		require.NoError(b, err)
		for _, word := range words[1:] {
			size, err := strconv.ParseFloat(word, 64)
			require.NoError(b, err)
			memory = append(memory, size)
		}

		return time.Unix(0, at).Sub(began), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), memory
	}
	once() // creates the directory and the node
	var started, cpu time.Duration
	var guard, holder float64
	n := 0
	for b.Loop() {
		s, c, memory := once()
		started, cpu, n = started+s, cpu+c, n+1
		if locked {
			require.Len(b, memory, 2)
			guard, holder = max(guard, memory[0]), max(holder, memory[1])
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(started.Seconds()*1e3/float64(n), "ms-to-start")
	b.ReportMetric(cpu.Seconds()*1e3/float64(n), "cpu-ms")
	if locked {
		b.ReportMetric(holder, "lock-KiB")
		b.ReportMetric(guard, "guard-KiB")
	}
}
