//go:build unix

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// readers are the ways in which nobody reads what a process prints. Each function returns a file to print to, and a
// function that requires, after the end of the process, that nobody has read anything.
var readers = map[string]func(t *testing.T) (w *os.File, unread func()){
	"full":   fullPipe,
	"broken": brokenPipe,
	"Ctrl-S": stoppedTerminal,
}

// fullPipe returns a pipe in which a write blocks.
func fullPipe(t *testing.T) (w *os.File, unread func()) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	conn, err := w.SyscallConn()
	require.NoError(t, err)
	filled := 0
	require.NoError(t, conn.Write(func(fd uintptr) bool {
		for err == nil { // the descriptor does not block before a process inherits it
			var n int
			n, err = syscall.Write(int(fd), make([]byte, 4096))
			filled += max(n, 0)
		}

		return true
	}))
	require.ErrorIs(t, err, syscall.EAGAIN)

	return w, func() {
		// Reading would let a process continue that still waits to write, such as a guard that is about to end.
		queued, err := unix.IoctlGetInt(int(r.Fd()), fionread)
		require.NoError(t, err)
		require.Equal(t, filled, queued)
	}
}

// brokenPipe returns a pipe in which a write fails, and raises SIGPIPE.
func brokenPipe(t *testing.T) (w *os.File, unread func()) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { w.Close() })
	require.NoError(t, r.Close())

	return w, func() {
		_, err := w.WriteString("x")
		require.ErrorIs(t, err, syscall.EPIPE)
	}
}

// stoppedTerminal returns a terminal on which a user has typed Ctrl-S.
func stoppedTerminal(t *testing.T) (w *os.File, unread func()) {
	t.Helper()
	keyboard, w, err := pty.Open()
	require.NoError(t, err)
	t.Cleanup(func() { keyboard.Close(); w.Close() })
	_, err = keyboard.Write([]byte{'S' - '@'})
	require.NoError(t, err)
	blocks := func() bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.Fd()), Events: unix.POLLOUT}}, 0)

		return n == 0 && err == nil
	}
	require.Eventually(t, blocks, soon, time.Millisecond)

	return w, func() { require.True(t, blocks()) }
}

// forAllReaders runs a test with each of the readers.
func forAllReaders(t *testing.T, test func(t *testing.T, w *os.File, unread func())) {
	t.Helper()
	for name, open := range readers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, unread := open(t)
			test(t, w, unread)
		})
	}
}

// within requires that the process ends with the code before the limit.
func (p *process) within(limit time.Duration, code int) {
	p.stage.t.Helper()
	began := time.Now()
	stop := time.AfterFunc(2*soon, func() { _ = p.cmd.Process.Kill() })
	defer stop.Stop()
	got := p.code()
	require.Equal(p.stage.t, code, got, p.cmd.ProcessState)
	require.Less(p.stage.t, time.Since(began), limit)
}

// A server whose output nobody reads becomes ready, and stops when it is told to.
func TestOutput_ServerStops(t *testing.T) {
	t.Parallel()
	forAllReaders(t, func(t *testing.T, w *os.File, unread func()) {
		t.Helper()
		for _, format := range []string{"text", "json"} {
			s := newStage(t)
			listen := freeAddress(t)
			p := s.startTo(w, w, "server", "tenure", "serve", "--listen", listen, "--memory", "--log-format", format,
				"--log-level", "debug")
			srv := &server{process: p, stage: s, listen: listen}
			require.Eventually(t, func() bool {
				conn, err := net.Dial("tcp", listen)

				return err == nil && conn.Close() == nil
			}, soon, time.Millisecond)
			srv.createNode()
			p.terminate()
			p.within(soon, 0)
		}
		unread()
	})
}

// Workers whose output nobody reads run tasks, and release them when they are told to stop.
func TestOutput_WorkersStop(t *testing.T) {
	t.Parallel()
	forAllReaders(t, func(t *testing.T, w *os.File, unread func()) {
		t.Helper()
		s := newStage(t)
		srv := newServer(s)
		args := []string{"-ydb", srv.dsn(), "-path", node, "-tasks", "2", "-capacity", "2"}
		stuck := s.startTo(w, w, "stuck", "workers", args...)
		srv.awaitQueue("job-0", 1, 0)
		srv.awaitQueue("job-1", 1, 0)
		stuck.terminate()
		stuck.within(soon, 0)
		unread()
		next := s.start("next", "workers", args...)
		next.await(0, soon, "all workers are started")
		next.stop()
	})
}

// A lock that has to report that it waits, and whose standard error nobody reads, runs COMMAND in the end, passes
// SIGTERM on to COMMAND, and ends.
func TestOutput_LockRunsCommand(t *testing.T) {
	t.Parallel()
	forAllReaders(t, func(t *testing.T, w *os.File, unread func()) {
		t.Helper()
		s := newStage(t)
		srv := newServer(s)
		holder := srv.under("holder", obedient)
		_, place := holder.await(0, soon, "the lock is acquired")

		ran := filepath.Join(s.dir, "ran")
		script := fmt.Sprintf( // the shell reports that SIGTERM has ended sleep, and here nobody reads what it prints
			`exec 2>/dev/null; trap 'echo stopped >>%[1]s; exit 3' TERM; echo started >>%[1]s; `+
				`while :; do sleep 0.05; done`, ran)
		stuck := s.startTo(w, w, "stuck", "lock", "-ydb", srv.dsn(), "-path", node, "lock", "--", "sh", "-c", script)
		srv.awaitQueue("lock", 1, 1)
		second := srv.under("second", begin+finish) // waits for a shorter time than the first
		s.until("the second one reports that it waits", soon, func(lines []line) bool {
			return slices.ContainsFunc(lines[place:], func(l line) bool {
				return l.who == second.name && strings.HasPrefix(l.text, "lock: waiting for ")
			})
		})

		holder.terminate()
		holder.within(soon, 3)
		requireFile(t, ran, "started\n")
		stuck.terminate()
		stuck.within(soon, 3)
		requireFile(t, ran, "started\nstopped\n")
		second.ends()
		unread()
	})
}

// If the lease is in danger, lock stops COMMAND before the lease ends, whether or not somebody reads its warnings.
func TestOutput_LockKillsInTime(t *testing.T) {
	t.Parallel()
	const timeout = 3 * time.Second
	forAllReaders(t, func(t *testing.T, w *os.File, unread func()) {
		t.Helper()
		inTime(t, timeout, func() time.Duration {
			s := newStage(t)
			srv := newServer(s)
			works := filepath.Join(s.dir, "works")
			script := fmt.Sprintf(`trap "" TERM; while date +%%s.%%N >>%s; do sleep 0.02; done`, works)
			p := s.startTo(w, w, "lock", "lock", "-ydb", srv.dsn(), "-path", node, "-timeout", timeout.String(),
				"lock", "--", "sh", "-c", script)
			require.Eventually(t, func() bool {
				_, err := os.Stat(works)

				return err == nil
			}, soon, time.Millisecond)

			srv.signal(syscall.SIGSTOP)
			stopped := time.Now()
			p.within(soon, 123)
			srv.signal(syscall.SIGCONT)
			unread()
			text, err := os.ReadFile(works)
			require.NoError(t, err)
			lines := strings.Fields(string(text))
			var seconds, nanoseconds int64
			_, err = fmt.Sscanf(lines[len(lines)-1], "%d.%d", &seconds, &nanoseconds)
			require.NoError(t, err)

			return time.Unix(seconds, nanoseconds).Sub(stopped) // to the last work
		})
	})
}

// If lock is killed, its guard kills COMMAND and ends the session, whether or not somebody reads what it prints.
func TestOutput_GuardEndsTheSession(t *testing.T) {
	t.Parallel()
	forAllReaders(t, func(t *testing.T, w *os.File, unread func()) {
		t.Helper()
		s := newStage(t)
		srv := newServer(s)
		ran := filepath.Join(s.dir, "ran")
		p := s.startTo(w, w, "killed", "lock", "-ydb", srv.dsn(), "-path", node, "-timeout", "10m", "lock", "--",
			"sh", "-c", fmt.Sprintf("echo started >%s; exec sleep 1000", ran))
		requireFile(t, ran, "started\n")
		p.kill()
		srv.under("next", begin+finish).ends()
		unread()
	})
}

// requireFile waits until the file has the content.
func requireFile(t *testing.T, name, want string) {
	t.Helper()
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(name)

		return string(text) == want
	}, soon, time.Millisecond, want)
}

// A command that prints data fails if nobody reads the data, and ends when it is told to.
//
//nolint:tparallel // the parts share a stage
func TestOutput_Data(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	help := func(name string, out *os.File) *process {
		return s.startTo(out, s.file(s.output(name, stderr)), name, "lock", "--help")
	}
	t.Run("broken", func(t *testing.T) {
		w, unread := brokenPipe(t)
		help("broken", w).within(soon, 128+int(syscall.SIGPIPE))
		unread()
	})
	t.Run("full", func(t *testing.T) {
		w, unread := fullPipe(t)
		p := help("full", w)
		p.terminate()
		_ = p.finish()
		require.Contains(t, []string{"exit status 143", "signal: terminated"}, p.cmd.ProcessState.String())
		unread()
	})
	t.Run("error", func(t *testing.T) {
		w, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip("there is no /dev/full: ", err)
		}
		defer w.Close()
		help("error", w).within(soon, 125)
		s.await(0, soon, "lock: cannot write to standard output: write /dev/stdout: no space left on device")
	})
	for _, l := range s.lines {
		require.False(t, l.via == stderr && l.who != "error", l.text)
	}
}
