package command_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"tenure/tenuretest"
)

// family is a script that ignores signals. So do its descendants, of which one has left the session of COMMAND and one
// has lost its parent. Each prints its process id.
const family = `trap "" TERM HUP INT USR1
	setsid sh -c 'trap "" TERM HUP USR1; echo $$; sleep 1000; :' &
	(sh -c 'echo $$; sleep 1000; :' &)
	echo $$
	sleep 1000; :`

// members reads the process ids of a family.
func (p *process) members() (pids []int) {
	p.t.Helper()
	for range 3 {
		pids = append(pids, p.number())
	}

	return pids
}

// guard returns the process id of the guard of a holder.
func (p *process) guard() int {
	p.t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	require.NoError(p.t, err)
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			pid, err := strconv.Atoi(field)
			require.NoError(p.t, err)
			name, err := os.ReadFile("/proc/" + field + "/comm")
			if err == nil && string(name) == "tenure-guard\n" {
				return pid
			}
		}
	}
	require.FailNow(p.t, "no guard", "%q", tasks)

	return 0
}

// alive reports whether the process runs. A process that has ended and was not collected does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := stat[bytes.LastIndexByte(stat, ')')+2]

	return state != 'Z' && state != 'X'
}

func requireAlive(t *testing.T, want bool, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		require.Equal(t, want, alive(pid), "process %d", pid)
	}
}

// frozen waits until the process is stopped.
func frozen(t *testing.T, pid int) {
	t.Helper()
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))

		return err == nil && stat[bytes.LastIndexByte(stat, ')')+2] == 'T'
	}, soon, time.Millisecond)
}

// Whatever happens to the holder or its guard, all descendants of COMMAND are dead before the next session gets the
// lock. That happens long before the session timeout, except when the holder is frozen: it might continue.
func TestRun_Guard(t *testing.T) {
	t.Parallel()
	const long = 10 * time.Minute
	embedded := func(t *testing.T) (dsn, dir string) {
		t.Helper()
		dir = t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o700)) //nolint:gosec // it is a directory

		return "embedded", dir
	}
	served := func(t *testing.T) (dsn, dir string) {
		t.Helper()

		return tenuretest.NewServer(t).DSN(), ""
	}
	killHolder := func(p *process) error { return p.cmd.Process.Kill() }
	killGuard := func(p *process) error { return syscall.Kill(p.guard(), syscall.SIGKILL) }
	freezeHolder := func(p *process) error {
		frozen(p.t, p.cmd.Process.Pid)

		return nil
	}
	const killed = "holder: killed COMMAND: the process that held the lock for it has ended"
	for name, test := range map[string]struct {
		server  func(*testing.T) (dsn, dir string)
		timeout time.Duration
		fault   func(*process) error
		says    string
		code    int
	}{
		"holder killed":           {served, long, killHolder, killed, -1},
		"holder killed, embedded": {embedded, long, killHolder, killed, -1},
		"guard killed":            {served, long, killGuard, "holder: COMMAND was killed, because its guard, pid ", 125},
		"guard killed, embedded":  {embedded, long, killGuard, "holder: COMMAND was killed, because its guard, pid ", 125},
		"holder frozen":           {served, 6 * time.Second, freezeHolder, "", 123},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn, dir := test.server(t)
			flags := []string{"--ydb", dsn, "--timeout", test.timeout.String(), "--grace", "100ms"}
			if dir != "" {
				flags = append(flags, "--dir", dir)
			}
			p := newProcess(t, append(flags, "--", "sh", "-c", family)...)
			pids := p.members()
			requireAlive(t, true, pids...)

			began := time.Now()
			require.NoError(t, test.fault(p))
			limited, cancel := context.WithTimeout(t.Context(), soon)
			defer cancel()
			client, lease, err := acquire(limited, dsn, dir, long)
			require.NoError(t, err)
			requireAlive(t, false, pids...)
			t.Logf("%v from the fault to the next holder", time.Since(began))
			require.NoError(t, lease.Release())
			require.NoError(t, client.Close(t.Context()))

			_ = p.cmd.Process.Signal(syscall.SIGCONT) // it may have ended
			if test.says != "" {
				require.Contains(t, p.line(), test.says)
			}
			require.Equal(t, test.code, p.code())
		})
	}
}

// The holder continues a guard that was stopped and therefore does not report the end of COMMAND.
func TestRun_GuardIsStopped(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "--", "sh", "-c", as("obedient"))
	p.says("ready")
	pid := p.number()
	frozen(t, p.guard())
	require.NoError(t, syscall.Kill(pid, syscall.SIGUSR1))
	p.says("SIGUSR1")
	require.Equal(t, 3, p.code())
}

// If the holder and its guard are killed at the same time, COMMAND dies. Its descendants may live.
func TestRun_BothKilled(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "--", "sh", "-c", as("stubborn"))
	p.says("ready")
	pid := p.number()
	guard := p.guard()
	// The holder must not notice the death of the guard. The other way round, the system would continue the guard when the
	// holder has died: its process group, which would then be orphaned, has a stopped process.
	frozen(t, p.cmd.Process.Pid)
	requireAlive(t, true, pid)
	require.NoError(t, syscall.Kill(guard, syscall.SIGKILL))
	require.NoError(t, p.cmd.Process.Kill())
	require.Eventually(t, func() bool { return !alive(pid) }, soon, time.Millisecond)
}

// A frozen guard does not keep the holder from killing all descendants of COMMAND before the lease ends.
func TestRun_GuardFrozen(t *testing.T) {
	t.Parallel()
	const timeout = 6 * time.Second
	took := guardFrozen(t, timeout)
	for attempts := 1; took >= timeout && attempts < 3; attempts++ { // the machine may pause once
		took = guardFrozen(t, timeout)
	}
	require.Less(t, took, timeout)
}

// guardFrozen returns how long after the end of the server all descendants of COMMAND are dead.
func guardFrozen(t *testing.T, timeout time.Duration) time.Duration {
	t.Helper()
	srv := tenuretest.NewServer(t)
	p := newProcess(t, "--ydb", srv.DSN(), "--timeout", timeout.String(), "--grace", "500ms", "--", "sh", "-c", family)
	pids := p.members()
	frozen(t, p.guard())
	requireAlive(t, true, pids...)
	began := time.Now()
	srv.Kill()
	require.Contains(t, p.line(), "holder: killing COMMAND: it did not end within 500ms of SIGUSR1")
	require.Eventually(t, func() bool { return !slices.ContainsFunc(pids, alive) }, soon, time.Millisecond)
	took := time.Since(began)
	require.Equal(t, 123, p.code())

	return took
}

// The guard collects the orphans of COMMAND, and the holder its own, while COMMAND runs.
func TestRun_CollectsOrphans(t *testing.T) {
	t.Parallel()
	p := newShell(t,
		`sh -c 'echo orphan $$' & exec HOLD -- sh -c '(sh -c "echo orphan \$\$" &); `+as("obedient")+`'`)
	var orphans []int
	for range 4 { // in any order; COMMAND also prints two lines
		if text, is := strings.CutPrefix(p.line(), "orphan "); is {
			pid, err := strconv.Atoi(text)
			require.NoError(t, err)
			orphans = append(orphans, pid)
		}
	}
	require.Len(t, orphans, 2)
	for _, pid := range orphans {
		require.Eventually(t, func() bool { return errors.Is(syscall.Kill(pid, 0), unix.ESRCH) }, soon, time.Millisecond)
	}
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.says("SIGTERM")
	require.Equal(t, 3, p.code())
}

// newShell runs the script with a shell. In the script, HOLD stands for the command line of a holder.
func newShell(t *testing.T, script string) *process {
	t.Helper()
	script = strings.ReplaceAll(script, "HOLD", `env TENURE_TEST_ROLE=holder "$SELF"`)
	cmd := exec.Command("sh", "-c", script)
	out, in, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = in, in
	require.NoError(t, cmd.Start())
	require.NoError(t, in.Close())

	return watch(t, cmd, out)
}

// As process 1 of a container, the holder works as elsewhere.
func TestRun_Process1(t *testing.T) {
	t.Parallel()
	unshare := []string{"unshare", "--fork", "--pid", "--mount-proc", "--kill-child"}
	if os.Geteuid() != 0 {
		unshare = append(unshare, "--user", "--map-root-user")
	}
	if out, err := exec.Command(unshare[0], append(unshare[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("the system does not allow namespaces: %v: %s", err, out)
	}
	p := newShell(t, "exec "+strings.Join(unshare, " ")+` HOLD -- sh -c 'echo $PPID; `+as("obedient")+`'`)
	require.Greater(t, p.number(), 1, "the guard")
	p.says("ready")
	p.number()
	holder := p.child() // of unshare
	require.NoError(t, syscall.Kill(holder, syscall.SIGTERM))
	p.says("SIGTERM")
	require.Equal(t, 3, p.code())
}

// child returns the only child of the process.
func (p *process) child() int {
	p.t.Helper()
	pid := p.cmd.Process.Pid
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	require.NoError(p.t, err)
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(p.t, err)

	return child
}
