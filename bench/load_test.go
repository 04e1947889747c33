package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"tenure/bench/benchtest"
)

// envLoad makes the test binary a process with the clients of a peer. The value is a loadConfig in JSON.
const envLoad = "TENURE_BENCH_LOAD"

type loadConfig struct {
	Peer, Address string
	Clients       int
	Each          bool          // each client has a connection of its own
	Pause         time.Duration // of each client after each pair
}

// loadResult is what a process of clients has done in a time.
type loadResult struct {
	Pairs, Mallocs                  int
	Elapsed, CPU, P50, P99, Longest time.Duration

	Slow []slowPair // if the clients pause: those of at least a millisecond, in no order
}

// slowPair is the time that a pair has taken.
type slowPair struct{ Begin, End time.Time }

// add adds up all fields but Longest and Slow.
func (r *loadResult) add(o loadResult) {
	r.Pairs += o.Pairs
	r.Mallocs += o.Mallocs
	r.Elapsed += o.Elapsed
	r.CPU += o.CPU
	r.P50 += o.P50
	r.P99 += o.P99
}

// A connector opens a connection to a server, which is also closed by the end of the process.
type connector func(ctx context.Context, address string, each bool) (connection, error)

// A connection serves any number of clients.
type connection interface {
	// worker returns a function that acquires and releases the lock with this name. Only one goroutine calls it.
	worker(ctx context.Context, lock string) (pair func() error, err error)
}

// loadMain opens connections and prints an empty line. For each line of input, a duration, its clients work for that
// long. It then prints a loadResult.
func loadMain(config string) error {
	var c loadConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	clients, err := c.connect(context.Background())
	if err != nil {
		return err
	}
	fmt.Println()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		d, err := time.ParseDuration(lines.Text())
		if err != nil {
			return err
		}
		r, err := load(clients, d, c.Pause)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
			return err
		}
	}

	return nil
}

// connect returns a function for each client.
func (c loadConfig) connect(ctx context.Context) ([]func() error, error) {
	connects := map[string]connector{}
	for _, p := range peers() {
		connects[p.name] = p.connect
	}
	for _, p := range clusterPeers() {
		connects[p.name] = p.connect
	}
	connect := connects[c.Peer]
	if connect == nil {
		return nil, errors.New("no peer is called " + c.Peer)
	}
	clients := make([]func() error, c.Clients)
	var conn connection
	for client := range clients {
		if conn == nil || c.Each {
			var err error
			if conn, err = connect(ctx, c.Address, c.Each); err != nil {
				return nil, err
			}
		}
		var err error
		if clients[client], err = conn.worker(ctx, "own-"+strconv.Itoa(client)); err != nil {
			return nil, err
		}
	}

	return clients, nil
}

// load calls the functions concurrently, each repeatedly and with pauses, until the time has passed.
func load(clients []func() error, d, pause time.Duration) (r loadResult, err error) {
	samples, slow := make([][]time.Duration, len(clients)), make([][]slowPair, len(clients))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	used, start := benchtest.ProcessorTime(), time.Now()
	var g errgroup.Group
	for i, pair := range clients {
		g.Go(func() error {
			for now := time.Now(); now.Sub(start) < d; {
				if err := pair(); err != nil {
					return err
				}
				begun := now
				now = time.Now()
				samples[i] = append(samples[i], now.Sub(begun))
				if pause > 0 {
					if now.Sub(begun) >= time.Millisecond {
						slow[i] = append(slow[i], slowPair{begun, now})
					}
					time.Sleep(pause)
					now = time.Now()
				}
			}

			return nil
		})
	}
	err = g.Wait()
	r.Elapsed, r.CPU = time.Since(start), benchtest.ProcessorTime()-used
	runtime.ReadMemStats(&after)
	all := slices.Concat(samples...)
	slices.Sort(all)
	r.Pairs, r.Mallocs = len(all), int(after.Mallocs-before.Mallocs)
	r.P50, r.P99 = benchtest.Quantile(all, 50), benchtest.Quantile(all, 99)
	r.Longest, r.Slow = benchtest.Quantile(all, 100), slices.Concat(slow...)

	return r, err
}

// loader is a process of clients.
type loader struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startLoad starts a process of clients and returns when all of them are connected.
func startLoad(b *testing.B, name, address string, c crowd) *loader {
	b.Helper()
	config, err := json.Marshal(loadConfig{Peer: name, Address: address, Clients: c.clients, Each: c.each, Pause: c.pause})
	require.NoError(b, err)
	self, err := os.Executable()
	require.NoError(b, err)
	l := &loader{cmd: exec.CommandContext(b.Context(), self)}
	l.cmd.Env = append(os.Environ(), envLoad+"="+string(config))
	if p := profile(b, "-clients"); p != "" {
		l.cmd.Env = append(l.cmd.Env, p)
	}
	l.cmd.Stderr = os.Stderr
	l.in, err = l.cmd.StdinPipe()
	require.NoError(b, err)
	out, err := l.cmd.StdoutPipe()
	require.NoError(b, err)
	l.out = bufio.NewReader(out)
	require.NoError(b, l.cmd.Start())
	ready, err := l.out.ReadString('\n')
	require.NoError(b, err, "the clients did not connect")
	require.Empty(b, strings.TrimSpace(ready))

	return l
}

// run lets the clients work for some time.
func (l *loader) run(b *testing.B, d time.Duration) (r loadResult) {
	b.Helper()
	_, err := fmt.Fprintln(l.in, d)
	require.NoError(b, err)
	line, err := l.out.ReadBytes('\n')
	require.NoError(b, err, "the clients failed")
	require.NoError(b, json.Unmarshal(line, &r))

	return r
}

func (l *loader) stop(b *testing.B) {
	b.Helper()
	require.NoError(b, l.in.Close())
	require.NoError(b, l.cmd.Wait())
}
