package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The COMMANDs print the same lines as lock without a COMMAND, so that claims understands them. They print the token
// first, because a test may stop COMMAND as soon as it reads that the lock is acquired.
const (
	begin  = `echo "token $TENURE_TOKEN"; echo "the lock is acquired"; `
	finish = `echo "suspending work"`

	// obedient works until SIGTERM, and then exits with a code of its own. The signal can miss a process that the shell is
	// just starting, and lock waits for the whole group, so no process of it runs for long.
	obedient = `trap '` + finish + `; exit 3' TERM; ` + begin + `while :; do sleep 0.1; done`

	// stubborn ignores SIGTERM and works until it is killed.
	stubborn = `trap "" TERM; ` + begin + `sleep 1000`
)

// under starts lock with a shell as COMMAND, which runs the script.
func (srv *server) under(name, script string, flags ...string) *process {
	srv.stage.t.Helper()
	args := append([]string{"-ydb", srv.dsn(), "-path", node, "--data", name}, flags...)

	return srv.stage.start(name, "lock", append(args, "lock", "--", "sh", "-c", script)...)
}

// next returns when the process, which is next, reports that it waits for the holder. If the machine is busy, lock may
// not know yet who that is.
func (srv *server) next(p *process, place int, holder string) {
	srv.stage.t.Helper()
	p.await(place, soon, fmt.Sprintf(`lock: waiting for "lock": held by %s, you are next`, holder),
		`lock: waiting for "lock" on `+srv.dsn())
}

// code waits until the process has ended and returns its exit code.
func (p *process) code() int {
	p.stage.t.Helper()
	_ = p.finish()
	p.gone()

	return p.cmd.ProcessState.ExitCode()
}

// tokens returns the tokens that COMMANDs have printed, in order.
func (s *stage) tokens() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var tokens []int
	for _, l := range s.lines {
		var token int
		if _, err := fmt.Sscanf(l.text, "token %d", &token); err == nil {
			tokens = append(tokens, token)
		}
	}

	return tokens
}

// requireGrowth requires n tokens in ascending order.
func (s *stage) requireGrowth(n int) {
	s.t.Helper()
	tokens := s.tokens()
	require.Len(s.t, tokens, n)
	for i := 1; i < n; i++ {
		require.Greater(s.t, tokens[i], tokens[i-1])
	}
}

// Processes that wait for the same lock take turns. Every stage checks at its end that no two worked at the same time.
func TestCommand_TakesTurns(t *testing.T) {
	t.Parallel()
	const contenders = 8
	s := newStage(t)
	srv := newServer(s)
	var processes []*process
	for i := range contenders {
		processes = append(processes, srv.under(fmt.Sprint("lock-", i), begin+`echo "starting work"; `+finish))
	}
	for _, p := range processes {
		p.ends()
	}
	s.requireGrowth(contenders)
	require.Zero(t, srv.owner("lock"))
}

// lock passes SIGTERM on to COMMAND, gives it time to stop, and exits with its exit code. The next waiter gets the lock
// immediately.
func TestCommand_InterruptIsPassedOn(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newServer(s)
	first := srv.under("first", obedient, "-timeout", "1m")
	_, place := first.await(0, soon, acquired)
	second := srv.under("second", obedient, "-timeout", "1m")
	srv.next(second, place, "first")
	first.terminate()
	require.Equal(t, 3, first.code())
	off, place := first.await(place, soon, suspended)
	on, _ := second.await(place, soon, acquired)
	require.Less(t, on.at.Sub(off.at), slack)
	second.terminate()
	require.Equal(t, 3, second.code())
	s.requireGrowth(2)
}

// A lock that is interrupted while it waits does not run COMMAND.
func TestCommand_InterruptedWhileWaiting(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	srv := newServer(s)
	first := srv.under("first", obedient)
	_, place := first.await(0, soon, acquired)
	second := srv.under("second", obedient)
	srv.next(second, place, "first")
	second.terminate()
	require.Equal(t, 128+15, second.code())
	second.await(place, soon, "lock: terminated: COMMAND has not run")
	require.Len(t, s.tokens(), 1)
	first.terminate()
	require.Equal(t, 3, first.code())
}

// When the server is down, lock stops COMMAND, or kills it if it ignores SIGTERM, before the lock can be granted to
// another process. When the server is back, the next waiter gets the lock.
func TestCommand_LossStopsIt(t *testing.T) {
	t.Parallel()
	const timeout = 4 * time.Second
	for name, script := range map[string]string{"obedient": obedient, "stubborn": stubborn} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inTime(t, timeout, func() time.Duration {
				s := newStage(t)
				srv := newServer(s)
				holder := srv.under("holder", script, "-timeout", timeout.String())
				_, place := holder.await(0, soon, acquired)
				next := srv.under("next", begin+finish, "-timeout", "1m")
				srv.next(next, place, "holder")

				killed := srv.kill()
				holder.await(place, soon,
					"lock: the server does not answer, and the lease may be granted to someone else in 1s: "+
						"stopping COMMAND")
				off, _ := holder.await(place, soon, suspended,
					"lock: killing COMMAND: it did not end within 1s of SIGTERM",
					"lock: killing COMMAND: no answer from the server before the session deadline") // falls on the same instant
				require.Equal(t, 123, holder.code())
				srv.begin()
				next.ends()
				s.requireGrowth(2)

				return off.at.Sub(killed)
			})
		})
	}
}

// When lock is killed, its guard kills COMMAND and ends the session. The next waiter runs alone, long before the
// session timeout.
func TestCommand_DiesWithLock(t *testing.T) {
	t.Parallel()
	const timeout = time.Minute
	s := newStage(t)
	srv := newServer(s)
	// If COMMAND survived, its output would show work without a claim.
	work := begin + `while :; do echo "work is in progress..."; sleep 0.1; done`
	holder := srv.under("holder", work, "-timeout", timeout.String())
	_, place := holder.await(0, soon, acquired)
	next := srv.under("next", begin+finish)
	killed := holder.kill()
	on, _ := next.await(place, soon, acquired)
	require.Less(t, on.at.Sub(killed), slack)
	t.Logf("%v from the kill of lock to the next COMMAND", on.at.Sub(killed))
	next.ends()
	s.requireGrowth(2)
}

// Without a server and without any setup, lock uses the embedded server. COMMAND can itself be a lock.
func TestCommand_WithoutAServer(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.start("lock", "lock", "deploy", "--", scratch+"/lock", "inner", "--",
		"sh", "-c", begin+`echo $TENURE_SEMAPHORE; `+finish)
	p.ends()
	var lines []string
	for _, l := range s.lines {
		if l.via == stdout { // a slow lock reports on standard error that it waits
			lines = append(lines, l.text)
		}
	}
	require.Equal(t, []string{"token 2", acquired, "inner", suspended}, lines, strings.TrimSpace(s.transcript()))
}
