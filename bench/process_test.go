package bench

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/bench/benchtest"
	"tenure/test/embedded"
)

var profiles = flag.String("profiles", "", "write CPU profiles of servers and clients to this directory")

// Environment variables that configure a server process.
const (
	envKind    = "TENURE_BENCH_KIND"    // the kind of the server; unset in the process that runs the benchmarks
	envDir     = "TENURE_BENCH_DIR"     // the directory of the store, or the URLs of etcd
	envProfile = "TENURE_BENCH_PROFILE" // the file for the profile of a process that serves, or of one with clients
)

// kind is what a server process serves.
type kind string

const (
	bare   kind = "bare"   // bareServer
	memory kind = "memory" // package server on a memory store
	disk   kind = "disk"   // package server on a directory
	shared kind = "shared" // package server on a cluster of etcd
)

func TestMain(m *testing.M) {
	if code, is := embedded.Main(); is {
		os.Exit(code)
	}
	if config := os.Getenv(envLoad); config != "" {
		exitWith(profiled(func() error { return loadMain(config) }))
	}
	if address := os.Getenv(envZooKeeper); address != "" {
		exitWith(zookeeperMain(address, os.Args[1:]))
	}
	if k := kind(os.Getenv(envKind)); k != "" {
		exitWith(profiled(func() error { return hostMain(k, os.Getenv(envDir)) }))
	}
	dir, err := os.MkdirTemp("", "tenure-bench")
	if err != nil {
		exitWith(err)
	}
	programs.dir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func exitWith(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// profiled calls f and writes a CPU profile, if this process is to write one.
func profiled(f func() error) (err error) {
	name := os.Getenv(envProfile)
	if name == "" {
		return f()
	}
	profile, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, profile.Close()) }()
	if err := pprof.StartCPUProfile(profile); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()

	return f()
}

// profile returns the environment variable that makes a process write a profile, or "" without -profiles.
func profile(tb testing.TB, suffix string) string {
	tb.Helper()
	if *profiles == "" {
		return ""
	}
	name := strings.NewReplacer("/", "-", "=", "-").Replace(tb.Name()) + suffix + ".prof"

	return envProfile + "=" + filepath.Join(*profiles, name)
}

// hostMain serves until its standard input ends. It prints its address when it is ready, and its usage after each line
// of input.
func hostMain(k kind, dir string) error {
	addr, stop, err := serve(k, dir)
	if err != nil {
		return err
	}
	fmt.Println(addr)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := json.NewEncoder(os.Stdout).Encode(measure()); err != nil {
			return err
		}
	}

	return stop()
}

// usage is the resource usage of a process: memory in bytes after a garbage collection, and CPU time since its start.
type usage struct {
	Resident   int64 // as the system counts it
	Heap       int64 // live objects
	Stacks     int64
	Goroutines int
	CPU        time.Duration
}

func measure() usage {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	size, err := resident(os.Getpid())
	if err != nil {
		panic(err) // there is no /proc
	}

	return usage{
		Resident: size, Heap: int64(m.HeapAlloc), Stacks: int64(m.StackInuse), Goroutines: runtime.NumGoroutine(),
		CPU: benchtest.ProcessorTime(),
	}
}

// sharing counts the servers that share a store, for the names of their profiles.
var sharing atomic.Int64

// host is a server process.
type host struct {
	addr string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// startHost starts a server of a kind and returns when the server listens.
func startHost(tb testing.TB, k kind, dir string) *host {
	tb.Helper()
	self, err := os.Executable()
	require.NoError(tb, err)
	h := &host{cmd: exec.Command(self)}
	h.cmd.Env = append(os.Environ(), envKind+"="+string(k), envDir+"="+dir)
	suffix := ""
	if k == shared {
		suffix = "-" + strconv.Itoa(int(sharing.Add(1)))
	}
	if p := profile(tb, suffix); p != "" {
		h.cmd.Env = append(h.cmd.Env, p)
	}
	h.cmd.Stderr = os.Stderr
	h.in, err = h.cmd.StdinPipe()
	require.NoError(tb, err)
	out, err := h.cmd.StdoutPipe()
	require.NoError(tb, err)
	h.out = bufio.NewReader(out)
	require.NoError(tb, h.cmd.Start())
	addr, err := h.out.ReadString('\n')
	require.NoError(tb, err, "the server did not start")
	h.addr = strings.TrimSpace(addr)

	return h
}

func (h *host) usage(tb testing.TB) usage {
	tb.Helper()
	_, err := io.WriteString(h.in, "\n")
	require.NoError(tb, err)
	line, err := h.out.ReadBytes('\n')
	require.NoError(tb, err)
	var u usage
	require.NoError(tb, json.Unmarshal(line, &u))

	return u
}

// stop shuts the process down cleanly.
func (h *host) stop(tb testing.TB) {
	tb.Helper()
	require.NoError(tb, h.in.Close())
	require.NoError(tb, h.cmd.Wait())
}
