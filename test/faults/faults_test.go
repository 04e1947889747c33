//go:build linux

package faults

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/relaytest"
)

// Exit codes of lock, as its help documents them.
const (
	codeLost   = 123
	codeFailed = 125
	codeSignal = 128 // plus the number of the signal
	killed     = -int(syscall.SIGKILL)
)

// A fault happens to a stage whose COMMAND works.
type fault struct {
	name    string
	servers []string
	strike  func(s *stage) // lets the fault happen
	mend    func(s *stage) // called when COMMAND has ended; may be nil
	code    int            // of the holder

	// outlives is set if processes that COMMAND has started may outlive COMMAND.
	outlives bool

	short bool // runs with -short
}

var everywhere = []string{served, beside, inside}

var faults = []fault{
	{ // takes longest: sessions of before the restart get a grace period
		name: "kill -9 of the server", servers: []string{served}, code: codeLost,
		strike: func(s *stage) { s.kill("the server", s.server.handle) },
		mend:   func(s *stage) { s.holder.code(); s.serve() },
	},
	{
		name: "SIGSTOP of lock", servers: everywhere, code: codeLost, short: true,
		strike: func(s *stage) { s.holder.suspend(); s.hit("lock is in state %c", state(s.holder.pid)) },
		mend: func(s *stage) {
			if s.server != nil { // otherwise the next one waits for its host
				s.next.code()
			}
			require.Equal(s.t, byte('T'), state(s.holder.pid))
			s.holder.send(syscall.SIGCONT)
		},
	},
	{
		name: "SIGSTOP of the guard, and of the server", servers: []string{served}, code: codeLost,
		strike: func(s *stage) {
			s.guard.suspend()
			s.server.suspend()
			s.hit("the guard is in state %c, the server in state %c", state(s.guard.pid), state(s.server.pid))
		},
		mend: func(s *stage) { s.holder.code(); s.server.send(syscall.SIGCONT) },
	},
	{
		name: "SIGSTOP of the server", servers: []string{served}, code: codeLost,
		strike: func(s *stage) { s.server.suspend(); s.hit("the server is in state %c", state(s.server.pid)) },
		mend:   func(s *stage) { s.holder.code(); s.server.send(syscall.SIGCONT) },
	},
	{
		name: "kill -9 of lock", servers: everywhere, code: killed, short: true,
		strike: func(s *stage) { s.kill("lock", s.holder.handle) },
	},
	{
		name: "kill -9 of the guard", servers: everywhere, code: codeFailed,
		strike: func(s *stage) { s.kill("the guard", s.guard) },
	},
	{
		name: "kill -9 of lock and of the guard", servers: []string{served, beside}, code: killed, outlives: true,
		strike: func(s *stage) {
			// The first one must not notice the death of the second. The other way round, the system would continue the guard
			// when lock has died: its process group, which would then be orphaned, has a stopped process.
			s.holder.suspend()
			s.kill("the guard", s.guard)
			s.kill("lock", s.holder.handle)
		},
	},
	{
		name: "kill -9 of COMMAND", servers: everywhere, code: codeSignal + int(syscall.SIGKILL),
		strike: func(s *stage) { s.kill("COMMAND", s.main) },
	},
	{
		name: "a black hole to the server", servers: []string{served}, code: codeLost,
		strike: func(s *stage) { s.hole(&s.relay.ToServer) },
	},
	{
		name: "a black hole from the server", servers: []string{served}, code: codeLost,
		strike: func(s *stage) { s.hole(&s.relay.ToClient) },
	},
}

// kill kills a process and waits until it has ended.
func (s *stage) kill(who string, h *handle) {
	s.t.Helper()
	before := state(h.pid)
	h.send(syscall.SIGKILL)
	s.hit("%s, pid %d, was in state %c and got SIGKILL", who, h.pid, before)
	s.until(who+" has ended", h.ended)
}

// hole makes one direction of the holder's network a black hole, and waits until it has dropped something.
func (s *stage) hole(w *relaytest.Way) {
	s.t.Helper()
	w.Hole.Store(true)
	s.hit("the network drops all bytes")
	s.until("the network has dropped something", func() bool { return w.Dropped.Load() > 0 })
}

// Each fault leaves at most one COMMAND at work, and the next one gets the lock.
func TestFaults(t *testing.T) {
	t.Parallel()
	n := 0
	for _, f := range faults {
		for _, servers := range f.servers {
			for _, kind := range []string{stubborn, obedient} {
				if kind == obedient && servers != served {
					continue // it differs only in what it does on TERM, which the kind of server does not change
				}
				// Each fault meets both kinds of pipes.
				r := []reader{full, broken}[(n+n/2)%2]
				n++
				t.Run(fmt.Sprintf("%s, %s, %s COMMAND, stderr %s", f.name, servers, kind, r), func(t *testing.T) {
					t.Parallel()
					if testing.Short() && (!f.short || servers == beside) {
						t.Skip("one of many")
					}
					f.run(newStage(t, servers, kind, r, f.timeout()))
				})
			}
		}
	}
}

// timeout returns the session timeout for the fault. It is short if the test waits for it.
func (f *fault) timeout() time.Duration {
	if f.code == codeLost || f.outlives {
		return brief
	}

	return patient
}

func (f *fault) run(s *stage) {
	s.t.Helper()
	f.strike(s)
	if f.outlives {
		s.until("COMMAND has ended", s.main.ended)
		s.outcome.outlives = true
	} else {
		s.stops()
	}
	if f.mend != nil {
		f.mend(s)
	}
	if f.outlives {
		s.next.code()
		for _, h := range s.all {
			if !h.ended() {
				h.send(syscall.SIGKILL)
			}
		}
	}
	s.finish(f.code)
}

// A host of the embedded server that is killed takes nothing from others.
func TestFaults_HostKilled(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{stubborn, obedient} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && kind == obedient {
				t.Skip("one of many")
			}
			s := newStage(t, beside, kind, broken, patient)
			s.kill("the host", s.server.handle)
			s.until("another process is the host", func() bool {
				pid := s.host()

				return pid != 0 && pid != s.server.pid
			})
			before := len(s.lines())
			s.until("COMMAND continues", func() bool {
				return slices.ContainsFunc(s.lines()[before:], func(l line) bool { return l.PID == s.main.pid })
			})
			s.holder.send(syscall.SIGTERM)
			want := ownCode
			if kind == stubborn {
				s.holder.send(syscall.SIGTERM)
				want = codeSignal + int(syscall.SIGKILL)
			}
			s.finish(want)
		})
	}
}
