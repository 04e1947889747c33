package hostile_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/outputtest"
	"tenure/internal/programs"
	"tenure/internal/programs/programstest"
	"tenure/test/hostile"
)

// Limits for the server and for the honest pairs.
const (
	maxMemory = 1 << 30
	maxStop   = 2 * time.Second
	sameNode  = 250 * time.Millisecond // p99 of the pair on the node that is attacked
	otherNode = 50 * time.Millisecond  // p99 of the pair on another node
	calm      = 300 * time.Millisecond // before an attack
)

// scratch has the programs and the data of the servers.
var scratch string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "hostile-"); err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)

		return 1
	}
	defer os.RemoveAll(scratch)
	// Without the race detector, because the limits are those of the server that users run.
	err = programs.Build(context.Background(), scratch, false, programs.Tenure, "tenure/test/hostile/attacker")
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)

		return 1
	}

	return m.Run()
}

// The server withstands each attack. Two attacks run at the same time, each on a server of its own.
func TestAttacks(t *testing.T) {
	t.Parallel()
	length := time.Second
	if text, ok := os.LookupEnv("HOSTILE_DURATION"); ok {
		var err error
		length, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	atOnce := 2
	if os.Getenv("HOSTILE_STRICT") != "" {
		atOnce = 1
	}
	running := make(chan struct{}, atOnce)
	for _, a := range hostile.Attacks() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			running <- struct{}{}
			defer func() { <-running }()
			s := serve(t, cmp.Or(a.Files, 1<<14))
			pairs := startPairs(t, s.addr)
			time.Sleep(calm)
			before := pairs.next()

			attacker := exec.Command("nice", "-n", "5", filepath.Join(scratch, "attacker"), "attack", s.addr, a.Name,
				length.String())
			attacker.Stderr = os.Stderr
			said, err := attacker.Output()
			require.NoError(t, err)
			during := pairs.next()
			peak := s.peak()
			t.Logf("%s, peak memory %d MiB", strings.TrimSpace(string(said)), peak>>20)
			t.Logf("%-14s %s", "before:", describe(before))
			t.Logf("%-14s %s", "meanwhile:", describe(during))

			stopped := s.stop()
			t.Logf("stopped after %v", stopped.Round(time.Millisecond))
			require.Less(t, peak, maxMemory, "memory")
			require.Less(t, stopped, maxStop, "time until the server has stopped")
			for _, p := range during {
				require.Empty(t, p.Lost, p.Node)
				require.Positive(t, p.HandOvers, p.Node) // on a busy machine, little more can be asked
			}
			if os.Getenv("HOSTILE_STRICT") != "" {
				require.Less(t, during[0].P99, sameNode, "p99 on the node that is attacked")
				require.Less(t, during[1].P99, otherNode, "p99 on another node")
			}
		})
	}
}

func describe(periods []hostile.Period) string {
	var all []string
	for _, p := range periods {
		all = append(all, fmt.Sprintf("%s: %d hand-overs, p50 %v, p99 %v, longest %v", filepath.Base(p.Node), p.HandOvers,
			p.P50.Round(10*time.Microsecond), p.P99.Round(10*time.Microsecond), p.Longest.Round(10*time.Microsecond)))
	}

	return strings.Join(all, "; ")
}

// server is a process of tenure serve.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	log  outputtest.Buffer
	peak func() int // stops watching the memory and returns the peak
}

var ready = regexp.MustCompile(`serving grpc://(\S+)/local`)

// serve starts a server that may have a number of files open.
func serve(t *testing.T, files int) *server {
	t.Helper()
	s := &server{t: t}
	s.cmd = exec.Command("sh", "-c", `ulimit -n "$1" && shift && exec "$@"`, "sh", strconv.Itoa(files),
		filepath.Join(scratch, "tenure"), "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir())
	s.cmd.Stderr = &s.log
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		if t.Failed() {
			log := s.log.String()
			t.Log("log of the server:\n", log[max(0, len(log)-10_000):])
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, s.log.String())
	found := ready.FindStringSubmatch(line)
	require.NotNil(t, found, line)
	s.addr = found[1]
	s.watch()

	return s
}

// watch kills the server if it uses so much memory that the machine is in danger.
func (s *server) watch() {
	done, result := make(chan struct{}), make(chan int)
	status := fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid)
	go func() { // ends when peak is called
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		var peak int
		for {
			if text, err := os.ReadFile(status); err == nil {
				if found := highWater.FindSubmatch(text); found != nil {
					kib, _ := strconv.Atoi(string(found[1]))
					peak = kib << 10
				}
			}
			if peak > 2*maxMemory {
				_ = s.cmd.Process.Kill()
			}
			select {
			case <-tick.C:
			case <-done:
				result <- peak

				return
			}
		}
	}()
	var known *int
	s.peak = func() int {
		if known == nil {
			close(done)
			peak := <-result
			known = &peak
		}

		return *known
	}
	s.t.Cleanup(func() { s.peak() })
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// stop asks the server to end, and returns how long that took.
func (s *server) stop() time.Duration {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM), "the server has ended")
	began := time.Now()
	require.NoError(s.t, programstest.Wait(s.t, s.cmd), "the server has failed")

	return time.Since(began)
}

// pairs is the process of the honest pairs.
type pairs struct {
	t   *testing.T
	in  io.Writer
	out *json.Decoder
}

func startPairs(t *testing.T, addr string) *pairs {
	t.Helper()
	cmd := exec.Command(filepath.Join(scratch, "attacker"), "pairs", addr)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	p := &pairs{t: t, in: in, out: json.NewDecoder(out)}
	p.next() // when it answers, the pairs have started

	return p
}

// next returns the periods since the last call.
func (p *pairs) next() []hostile.Period {
	p.t.Helper()
	_, err := p.in.Write([]byte("\n"))
	require.NoError(p.t, err)
	var periods []hostile.Period
	require.NoError(p.t, p.out.Decode(&periods))

	return periods
}
