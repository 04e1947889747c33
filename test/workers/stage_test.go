//go:build linux

package workers

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// soon limits every wait, on a machine that also runs other tests.
	soon = time.Minute

	// look is the pause between two looks at something that is awaited.
	look = 5 * time.Millisecond

	// long is a session timeout that no test waits for.
	long = 2 * soon
)

// Kinds of servers.
const (
	served   = "tenure serve"
	embedded = "embedded" // a worker is its host
)

// both runs a test with each kind of server.
func both(t *testing.T, test func(s *stage)) {
	t.Helper()
	for _, kind := range []string{served, embedded} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(newStage(t, kind))
		})
	}
}

// A stage is a server, and the processes of workers that use it.
type stage struct {
	t      *testing.T
	kind   string
	dir    string
	home   string   // of the processes
	listen string   // of tenure serve
	server *process // tenure serve

	record *Record
	judge  *judge
	lines  []Line // all lines so far
}

// newStage starts a server. When the test ends, it kills the remaining processes and checks the record.
func newStage(t *testing.T, kind string) *stage {
	t.Helper()
	require.NoError(t, build())
	dir, err := os.MkdirTemp(scratch, "s-") //nolint:usetesting // a socket's path must be short
	require.NoError(t, err)
	s := &stage{t: t, kind: kind, dir: dir, home: dir, judge: newJudge()}
	s.record, err = OpenRecord(filepath.Join(dir, "record"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.record.Close()) })
	t.Cleanup(s.tell)
	if kind == served {
		s.listen = freeAddress(t)
		s.serve()
	}

	return s
}

// serve starts tenure serve, or starts it again.
func (s *stage) serve() {
	s.t.Helper()
	s.server = s.start("server", "tenure", "serve", "--listen", s.listen, "--data", filepath.Join(s.dir, "data"))
	s.until("the server is ready", func() bool {
		conn, err := net.Dial("tcp", s.listen)

		return err == nil && conn.Close() == nil
	})
}

// freeAddress finds a free port that the system does not assign to outgoing connections while the server is down. Most
// systems assign ports from 32768 up.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_000))
		if l, err := net.Listen("tcp", address); err == nil {
			require.NoError(t, l.Close())

			return address
		}
	}
	require.FailNow(t, "found no free port")

	return ""
}

// where returns the flags that name the server.
func (s *stage) where() []string {
	if s.kind == served {
		return s.at(s.listen)
	}

	return []string{"--dir", filepath.Join(s.dir, "state")}
}

// at returns the flags for a server at the address.
func (s *stage) at(address string) []string { return []string{"--ydb", "grpc://" + address + "/local"} }

// with returns the arguments of workers that run the job: the flags, and COMMAND.
func with(j Job, flags ...string) []string {
	text, err := json.Marshal(j)
	if err != nil {
		panic(err) // a Job has only plain data
	}

	return append(flags, "--", filepath.Join(scratch, "job"), string(text))
}

// follow reads the new lines of the record and checks them.
func (s *stage) follow() {
	s.t.Helper()
	lines, err := s.record.Next()
	require.NoError(s.t, err)
	for _, l := range lines {
		s.lines = append(s.lines, l)
		require.NoError(s.t, s.judge.read(l))
	}
}

// until follows the record until something is so.
func (s *stage) until(what string, so func() bool) {
	s.t.Helper()
	limit := time.After(soon)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for s.follow(); !so(); s.follow() {
		select {
		case <-tick.C:
		case <-limit:
			require.FailNow(s.t, "timed out", "waiting until %s", what)
		}
	}
}

// untilRunning waits until n tasks run.
func (s *stage) untilRunning(n int) {
	s.t.Helper()
	s.until(fmt.Sprint(n, " tasks run"), func() bool { return len(s.judge.running()) == n })
}

// tasksOf returns the tasks that run in the worker.
func (s *stage) tasksOf(worker string) []string {
	var tasks []string
	for task, l := range s.judge.running() {
		if l.Worker == worker {
			tasks = append(tasks, task)
		}
	}
	slices.Sort(tasks)

	return tasks
}

// note writes a line of the test about the worker.
func (s *stage) note(verb Verb, worker string) {
	s.t.Helper()
	require.NoError(s.t, s.record.Append(Line{Verb: verb, Worker: worker}))
}

// count returns the number of lines with the verb, by task, after the place.
func (s *stage) count(place int, verb Verb) map[string]int {
	n := map[string]int{}
	for _, l := range s.lines[place:] {
		if l.Verb == verb {
			n[l.Task]++
		}
	}

	return n
}

// requireBound requires that the tasks of workers that were struck ran again in time, and logs the times.
func (s *stage) requireBound(bound time.Duration) {
	s.t.Helper()
	s.follow()
	gaps := slices.Sorted(slices.Values(s.judge.gaps))
	require.NotEmpty(s.t, gaps)
	s.t.Logf("%d tasks ran again after the end of their worker: median %v, longest %v", len(gaps),
		gaps[len(gaps)/2].Round(time.Millisecond), gaps[len(gaps)-1].Round(time.Millisecond))
	require.NoError(s.t, s.judge.check(bound))
}

// tell logs what happened if the test has failed.
func (s *stage) tell() {
	files, err := filepath.Glob(filepath.Join(s.dir, "*.std*"))
	require.NoError(s.t, err)
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(s.t, err)
		if s.t.Failed() {
			s.t.Logf("%s:\n%s", filepath.Base(name), text)
		}
		require.NotRegexp(s.t, `panic: |fatal error: |job: `, string(text))
	}
	if s.t.Failed() {
		for _, l := range s.lines[max(0, len(s.lines)-300):] {
			s.t.Log(l)
		}
		s.t.Log("running: ", slices.Sorted(maps.Keys(s.judge.running())))
	}
}
