//go:build linux

package faults

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/relaytest"
	"tenure/internal/witnesstest"
)

const (
	// soon limits every wait, on a machine that also runs other tests.
	soon = time.Minute

	// look is the pause between two looks at something that is awaited.
	look = 10 * time.Millisecond

	// patient is a session timeout that no pause of a busy machine reaches.
	patient = time.Minute

	// brief is a session timeout for faults that cost the lock. Before the fault, the machine may pause for a second.
	brief = 5 * time.Second
)

// Kinds of servers.
const (
	served = "tenure serve"      // over a network
	beside = "a host beside"     // the embedded server, in a process that does nothing else
	inside = "a host that holds" // the embedded server, in the holder
)

// A stage is a server, a holder whose COMMAND works, and a lock that waits for it.
type stage struct {
	t       *testing.T
	dir     string
	servers string
	timeout time.Duration // of the sessions
	kind    string        // obedient or stubborn: the holder's COMMAND
	lives   *os.File
	record  witnesstest.Record
	listen  string // of tenure serve

	relay  *relaytest.Relay // between the holder and tenure serve
	server *process         // tenure serve, or the host beside; nil: the holder is the host
	holder *process
	next   *process
	guard  *handle
	main   *handle   // the holder's COMMAND
	all    []*handle // the processes of the holder's COMMAND

	holds   func() bool // the holder's standard error is still what it was
	outcome outcome
}

func newStage(t *testing.T, servers, kind string, r reader, timeout time.Duration) *stage {
	t.Helper()
	require.NoError(t, build())
	dir, err := os.MkdirTemp(scratch, "s-") //nolint:usetesting // a socket's path must be short
	require.NoError(t, err)
	s := &stage{t: t, dir: dir, servers: servers, kind: kind, timeout: timeout}
	lives, life, err := os.Pipe()
	require.NoError(t, err)
	s.lives = lives
	s.record, err = witnesstest.Open(filepath.Join(dir, "record"))
	require.NoError(t, err)
	t.Cleanup(func() { s.record.Close(); lives.Close() })
	t.Cleanup(s.tell)
	t.Cleanup(func() { life.Close() }) // ends all processes of COMMANDs

	self, err := os.Executable()
	require.NoError(t, err)
	s.startServer()
	errs, holds := r.pipe(t)
	s.holds = holds
	args := append(s.where(s.holderAddress()), "--stop-timeout", "100ms", "--", self)
	s.holder = s.start("holder", errs, kind, "lock", args...)
	s.awaitCommand()
	s.next = s.start("next", nil, short, "lock", append(s.where(s.listen), "--", self)...)
	s.until("the next one waits", func() bool { return s.next.printed("waiting for") })
	s.showHost()

	return s
}

// where returns the arguments of a lock.
func (s *stage) where(address string) []string {
	args := []string{"--timeout", s.timeout.String(), "--dir", filepath.Join(s.dir, "state")}
	if s.servers == served {
		args = []string{"--timeout", s.timeout.String(), "--ydb", "grpc://" + address + "/local"}
	}

	return append(args, "deploy")
}

func (s *stage) startServer() {
	s.t.Helper()
	switch s.servers {
	case served:
		s.listen = relaytest.FreeAddress(s.t)
		s.serve()
		s.relay = relaytest.New(s.t, s.listen)
	case beside:
		file := filepath.Join(s.dir, "hosts")
		s.server = s.start("host", nil, "", "lock", "--dir", filepath.Join(s.dir, "state"), "--state-file", file, "other")
		s.until("the host has its own lock", func() bool {
			_, err := os.Stat(file)

			return err == nil
		})
	}
}

// serve starts tenure serve, or starts it again.
func (s *stage) serve() {
	s.t.Helper()
	s.server = s.start("server", nil, "", "tenure", "serve", "--listen", s.listen, "--data", filepath.Join(s.dir, "data"))
	s.until("the server is ready", func() bool {
		conn, err := net.Dial("tcp", s.listen)

		return err == nil && conn.Close() == nil
	})
}

func (s *stage) holderAddress() string {
	if s.relay == nil {
		return ""
	}

	return s.relay.Address()
}

// awaitCommand waits until all processes of the holder's COMMAND work.
func (s *stage) awaitCommand() {
	s.t.Helper()
	at := map[string]line{} // by role
	s.until("COMMAND works", func() bool {
		for _, l := range s.lines() {
			if l.Verb == works {
				at[l.Role] = l
			}
		}

		return len(at) == len(family[s.kind])
	})
	for role, l := range at {
		s.all = append(s.all, s.handleOf(l.PID))
		if role == s.kind {
			s.main = s.all[len(s.all)-1]
			s.guard = s.handleOf(l.Parent)
		}
	}
	require.Regexp(s.t, "^tenure-guard ", s.living()[s.guard.pid])
	require.Equal(s.t, fmt.Sprint(s.holder.pid), stat(s.guard.pid)[1], "the guard is a child of lock")
}

// showHost requires that the expected process hosts the embedded server.
func (s *stage) showHost() {
	s.t.Helper()
	if s.servers == served {
		return
	}
	want := s.holder
	if s.server != nil {
		want = s.server
	}
	require.Equal(s.t, want.pid, s.host())
}

// host returns the process that hosts the embedded server, or the last one that did. It returns 0 while another process
// is becoming the host.
func (s *stage) host() (pid int) {
	s.t.Helper()
	var owner struct{ PID int }
	if text, err := os.ReadFile(filepath.Join(s.dir, "state", "OWNER")); err == nil {
		_ = json.Unmarshal(text, &owner) // it may not be written yet
	}

	return owner.PID
}

func (s *stage) lines() []line {
	s.t.Helper()
	lines, err := s.record.Lines()
	require.NoError(s.t, err)

	return lines
}

// until waits until something is so.
func (s *stage) until(what string, so func() bool) {
	s.t.Helper()
	limit := time.After(soon)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-limit:
			require.FailNow(s.t, "timed out", "waiting until %s", what)
		}
	}
}

// hit notes that a fault happens now. The text shows that it does.
func (s *stage) hit(format string, args ...any) {
	s.t.Helper()
	s.outcome.hit, s.outcome.proof = len(s.lines()), fmt.Sprintf(format, args...)
	require.True(s.t, s.holds(), "standard error of the holder is full or broken")
}

// stops waits until all processes of the holder's COMMAND have ended.
func (s *stage) stops() {
	s.t.Helper()
	for _, h := range s.all {
		s.until("COMMAND has ended", h.ended)
	}
}

// finish waits until the next COMMAND has ended, and all other processes have. Then it checks the outcome.
func (s *stage) finish(want int) {
	s.t.Helper()
	require.Equal(s.t, 0, s.next.code(), "exit code of the next lock")
	s.outcome.code, s.outcome.want = s.holder.code(), want
	require.True(s.t, s.holds(), "standard error of the holder is full or broken")
	left := func() (left []string) {
		for pid, words := range s.living() {
			if s.server == nil || pid != s.server.pid {
				left = append(left, fmt.Sprint(pid, " ", words))
			}
		}

		return left
	}
	for limit := time.Now().Add(soon); ; {
		s.outcome.left = left()
		if len(s.outcome.left) == 0 || time.Now().After(limit) {
			break
		}
		<-time.After(look)
	}
	s.outcome.lines = s.lines()
	require.NoError(s.t, s.outcome.check())
}

// tell logs what happened if the test has failed.
func (s *stage) tell() {
	files, _ := filepath.Glob(filepath.Join(s.dir, "*.std*"))
	failures, _ := filepath.Glob(filepath.Join(s.dir, "failed-*"))
	for _, name := range append(files, failures...) {
		text, _ := os.ReadFile(name)
		if s.t.Failed() {
			s.t.Logf("%s:\n%s", filepath.Base(name), text)
		}
		require.NotRegexp(s.t, `DATA RACE|panic: |fatal error: `, string(text))
	}
	require.Empty(s.t, failures)
	if !s.t.Failed() {
		return
	}
	lines, _ := s.record.Lines()
	s.t.Logf("%d lines; fault at %d: %s; %v", len(lines), s.outcome.hit, s.outcome.proof, s.living())
	for i, l := range lines {
		if l.Verb != works || i+1 == len(lines) || lines[i+1].Verb != works {
			s.t.Logf("%d: %v", i+1, l)
		}
	}
}
