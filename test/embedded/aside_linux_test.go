package embedded

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/store/logstore"
)

// A job is a process of the command lock.
type job struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  *bufio.Scanner // of stdout
	stderr strings.Builder
}

// startJob starts the command lock, or a command that becomes it, with the arguments.
func startJob(t *testing.T, lock, dir string, attr syscall.SysProcAttr, args ...string) *job {
	t.Helper()
	j := &job{t: t, cmd: exec.Command(lock, args...)}
	j.cmd.Env = []string{"TENURE_DIR=" + dir, "PATH=" + os.Getenv("PATH"), "GORACE=halt_on_error=1 atexit_sleep_ms=0"}
	attr.Pdeathsig = syscall.SIGKILL
	j.cmd.SysProcAttr, j.cmd.Stderr = &attr, &j.stderr
	r, w, err := os.Pipe()
	require.NoError(t, err)
	j.cmd.Stdout, j.lines = w, bufio.NewScanner(r)
	require.NoError(t, j.cmd.Start())
	require.NoError(t, w.Close())
	t.Cleanup(func() {
		_ = j.cmd.Process.Kill() // fails if it has ended
		_ = j.cmd.Wait()
		_, _ = io.Copy(io.Discard, r)
		require.NoError(t, r.Close())
	})

	return j
}

// bounded kills the job if it does not do something soon, unless stop is called.
func (j *job) bounded(what string) (stop func()) {
	limit := time.AfterFunc(soon, func() {
		j.t.Errorf("the job does not %s within %v", what, soon)
		_ = j.cmd.Process.Kill()
	})

	return func() { limit.Stop() }
}

// prints waits until the job prints the line.
func (j *job) prints(line string) {
	j.t.Helper()
	defer j.bounded("print " + line)()
	for j.lines.Scan() {
		if j.lines.Text() == line {
			return
		}
	}
	require.Fail(j.t, "the job ends without printing "+line, j.stderr.String())
}

// hosts waits until the job hosts the server in dir.
func (j *job) hosts(dir string) {
	j.t.Helper()
	require.Eventually(j.t, func() bool {
		owner, ok := logstore.Owner(dir)

		return ok && owner.PID == j.cmd.Process.Pid
	}, soon, time.Millisecond)
}

// becomes waits until the process has the state, as in /proc/PID/stat.
func (j *job) becomes(state string) {
	j.t.Helper()
	require.Eventually(j.t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", j.cmd.Process.Pid))
		_, fields, ok := strings.Cut(string(stat), ") ")

		return err == nil && ok && strings.HasPrefix(fields, state)
	}, soon, time.Millisecond)
}

// ignores returns the set of signals that the process ignores: bit n-1 stands for signal n.
func (j *job) ignores() (set uint64) {
	j.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", j.cmd.Process.Pid))
	require.NoError(j.t, err)
	_, text, ok := strings.Cut(string(status), "SigIgn:")
	require.True(j.t, ok)
	_, err = fmt.Sscanf(text, "%x", &set)
	require.NoError(j.t, err)

	return set
}

func (j *job) signal(sig syscall.Signal) {
	j.t.Helper()
	require.NoError(j.t, j.cmd.Process.Signal(sig))
}

// ends waits for the end of the job and requires its exit code.
func (j *job) ends(code int) {
	j.t.Helper()
	defer j.bounded("end")()
	for j.lines.Scan() {
	}
	_ = j.cmd.Wait() // the exit code is checked below
	require.Equal(j.t, code, j.cmd.ProcessState.ExitCode(), j.stderr.String())
}

// A process that hosts the server hands it over before SIGTSTP stops it. So the COMMAND of another process runs for
// several session timeouts while the first host is stopped. Afterwards the first host continues.
func TestHost_StepsAside(t *testing.T) {
	t.Parallel()
	lock := buildLock(t)
	own := syscall.SysProcAttr{Setpgid: true} // otherwise the group is that of the test, which may be orphaned
	const timeout, work = 4 * time.Second, 9 * time.Second
	stranger := []string{
		"--timeout", timeout.String(), "b", "--", "sh", "-c", fmt.Sprint("echo works; sleep ", work.Seconds()),
	}

	t.Run("while it holds a lock", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir() + "/s"
		host := startJob(t, lock, dir, own, "a")
		host.prints("starting work")
		host.hosts(dir)
		other := startJob(t, lock, dir, own, stranger...)
		other.prints("works")

		host.signal(syscall.SIGTSTP)
		host.becomes("T")
		other.hosts(dir)
		other.ends(0)

		host.signal(syscall.SIGCONT)
		host.prints("work is in progress...")
		host.signal(syscall.SIGTERM)
		host.ends(0)
	})
	t.Run("while it waits", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir() + "/s"
		first := startJob(t, lock, dir, own, "x")
		first.prints("starting work")
		holder := startJob(t, lock, dir, own, "--timeout", "1m", "a")
		holder.prints("starting work")
		host := startJob(t, lock, dir, own, "--timeout", timeout.String(), "a")
		host.prints("waiting for a lock...")
		holder.signal(syscall.SIGSTOP) // so that it does not become the host
		first.signal(syscall.SIGTERM)
		host.hosts(dir)
		holder.signal(syscall.SIGCONT)
		other := startJob(t, lock, dir, own, stranger...)
		other.prints("works")

		host.signal(syscall.SIGTSTP)
		host.becomes("T")
		other.ends(0)

		host.signal(syscall.SIGCONT) // its session has ended, so it starts another one
		holder.signal(syscall.SIGTERM)
		holder.ends(0)
		host.prints("starting work")
		host.signal(syscall.SIGTERM)
		host.ends(0)
	})
	t.Run("ignored from the start", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir() + "/s"
		host := startJob(t, lock, dir, own, "a")
		host.prints("starting work")
		require.Zero(t, host.ignores()&(1<<(syscall.SIGTSTP-1)))
		host = startJob(t, "/bin/sh", dir, own, "-c", `trap "" TSTP; exec "$@"`, "sh", lock, "b")
		host.prints("starting work")
		require.NotZero(t, host.ignores()&(1<<(syscall.SIGTSTP-1)))
	})
	t.Run("in an orphaned process group", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir() + "/s"
		host := startJob(t, lock, dir, syscall.SysProcAttr{Setsid: true}, "a")
		host.prints("starting work")
		other := startJob(t, lock, dir, own, "b")
		other.prints("starting work")

		before, known := logstore.Owner(dir)
		require.True(t, known)
		host.signal(syscall.SIGTSTP)
		require.Eventually(t, func() bool { // either process may be the first to open the store again
			now, known := logstore.Owner(dir)

			return known && !now.Since.Equal(before.Since)
		}, soon, time.Millisecond)
		host.prints("work is in progress...")
		other.signal(syscall.SIGTERM)
		other.ends(0)
		host.hosts(dir)
		host.signal(syscall.SIGTERM)
		host.ends(0)
	})
}
