package command_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/cli"
	"tenure/internal/command"
	"tenure/tenuretest"
)

// pool is a command that runs each argument as the script of a pooled COMMAND, all in one session. The lease of the
// first one is that of the semaphore "lock".
func pool(env *cli.Env) *cobra.Command {
	dsn, dir, timeout, grace := "", "", 10*time.Second, time.Second
	cmd := &cobra.Command{
		Use: "pool", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, scripts []string) error {
			ctx := cmd.Context()
			client, lease, err := acquire(ctx, dsn, dir, timeout)
			if err != nil {
				return err
			}
			var running sync.WaitGroup
			for i, script := range scripts {
				if i > 0 {
					lease, err = lease.Session().AcquireSemaphore(ctx, fmt.Sprint("lock", i), coordination.Exclusive,
						options.WithEphemeral(true))
				}
				if err != nil {
					return err
				}
				task := fmt.Sprint("task ", i)
				c := &command.Command{
					Pooled: true, Task: task, Name: "pool " + task, DSN: dsn, Grace: grace, Signal: syscall.SIGTERM,
					Stdout: os.Stdout, Stderr: os.Stderr, Kill: second(ctx),
				}
				if c.Path, err = command.Look("sh"); err != nil {
					return err
				}
				c.Argv = []string{"sh", "-c", script}
				running.Go(func() {
					err := c.Run(ctx, lease)
					code := 0
					if exit, ok := errors.AsType[*cli.ExitError](err); ok {
						code, err = exit.Code, exit.Err
					}
					cli.Complain(env, task, fmt.Errorf("exit code %d: %w", code, err))
				})
			}
			running.Wait()
			limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = client.Close(limited) // the server may be gone

			return nil
		},
	}
	cli.AddFlags(cmd,
		cli.Flag{Name: "ydb", Arg: "DSN", Value: &dsn, Usage: "server"},
		cli.Flag{Name: "dir", Arg: "DIR", Value: &dir, Usage: "state directory"},
		cli.Flag{Name: "timeout", Arg: "D", Value: &timeout, Usage: "session timeout"},
		cli.Flag{Name: "grace", Arg: "D", Value: &grace, Usage: "grace"},
	)

	return cmd
}

// second returns a channel that is closed at the second interrupt.
func second(ctx context.Context) <-chan struct{} {
	interrupts, kill := make(chan syscall.Signal, 1), make(chan struct{})
	cli.TakeInterrupts(ctx, interrupts)
	go func() { // ends with the process
		<-interrupts
		close(kill)
	}()

	return kill
}

// newPool starts a pool.
func newPool(t *testing.T, argv ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Getenv("SELF"), argv...)
	cmd.Env = append(os.Environ(), role+"=pool")
	out, in, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = in, in
	require.NoError(t, cmd.Start())
	require.NoError(t, in.Close())

	return watch(t, cmd, out)
}

// guards returns the process ids of the guards of a process, by the task that they serve.
func (p *process) guards() map[string]int {
	p.t.Helper()
	found := make(map[string]int)
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	require.NoError(p.t, err)
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			argv, err := os.ReadFile("/proc/" + field + "/cmdline")
			if _, name, ok := strings.Cut(string(argv), "tenure-guard\x00"); err == nil && ok {
				pid, err := strconv.Atoi(field)
				require.NoError(p.t, err)
				found[strings.ReplaceAll(strings.Trim(name, "\x00"), "\x00", " ")] = pid
			}
		}
	}

	return found
}

// tagged is a family of which each line begins with the tag.
func tagged(tag string) string { return strings.ReplaceAll(family, "echo $$", "echo "+tag+" $$") }

// families reads the process ids of families with these tags.
func (p *process) families(tags ...string) map[string][]int {
	p.t.Helper()
	pids := make(map[string][]int)
	for range 3 * len(tags) {
		tag, number, ok := strings.Cut(p.line(), " ")
		require.True(p.t, ok)
		pid, err := strconv.Atoi(number)
		require.NoError(p.t, err)
		pids[tag] = append(pids[tag], pid)
	}
	for _, tag := range tags {
		require.Len(p.t, pids[tag], 3)
	}

	return pids
}

// takeOver waits for the lock of the first task, and requires that all of these processes are dead then.
func takeOver(t *testing.T, dsn, dir string, pids ...int) {
	t.Helper()
	limited, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	began := time.Now()
	client, lease, err := acquire(limited, dsn, dir, 10*time.Minute)
	require.NoError(t, err)
	requireAlive(t, false, pids...)
	t.Logf("%v to the next holder", time.Since(began))
	require.NoError(t, lease.Release())
	require.NoError(t, client.Close(t.Context()))
}

// If the holder is killed or frozen, all descendants of all COMMANDs are dead before the next session gets a lock.
func TestPooled_HolderFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		embedded bool
		timeout  string
		signal   syscall.Signal
	}{
		"killed":           {false, "10m", syscall.SIGKILL},
		"killed, embedded": {true, "10m", syscall.SIGKILL},
		"frozen":           {false, "6s", syscall.SIGSTOP},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn, dir := "embedded", t.TempDir()
			require.NoError(t, os.Chmod(dir, 0o700)) //nolint:gosec // it is a directory
			if !test.embedded {
				dsn, dir = tenuretest.NewServer(t).DSN(), ""
			}
			flags := []string{"--ydb", dsn, "--timeout", test.timeout, "--grace", "100ms"}
			if dir != "" {
				flags = append(flags, "--dir", dir)
			}
			p := newPool(t, append(flags, "--", tagged("a"), tagged("b"))...)
			pids := p.families("a", "b")
			require.NoError(t, p.cmd.Process.Signal(test.signal))
			takeOver(t, dsn, dir, slices.Concat(pids["a"], pids["b"])...)
			if test.signal == syscall.SIGSTOP {
				require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
				require.Equal(t, []string{"task 0: exit code 123: %!w(<nil>)", "task 1: exit code 123: %!w(<nil>)"}, p.sorted(2))
				require.Zero(t, p.code())

				return
			}
			require.Equal(t, []string{
				`pool: killed COMMAND of "task 0": the process that ran it has ended`,
				`pool: killed COMMAND of "task 1": the process that ran it has ended`,
			}, p.sorted(2))
		})
	}
}

// sorted returns the next lines in alphabetical order.
func (p *process) sorted(n int) (lines []string) {
	p.t.Helper()
	for range n {
		lines = append(lines, p.line())
	}
	slices.Sort(lines)

	return lines
}

// A guard does not end the session while a COMMAND of another guard may run.
func TestPooled_Barrier(t *testing.T) {
	t.Parallel()
	dsn := tenuretest.NewServer(t).DSN()
	p := newPool(t, "--ydb", dsn, "--timeout", "10m", "--", tagged("a"), tagged("b"))
	pids := p.families("a", "b")
	guards := p.guards()
	require.Len(t, guards, 2, "%v", guards)
	other := openBarrier(t, slices.Collect(maps.Values(guards))) // as a third guard
	require.NoError(t, p.cmd.Process.Kill())
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(slices.Concat(pids["a"], pids["b"]), alive)
	}, soon, time.Millisecond)
	p.sorted(2)
	for _, guard := range guards {
		requireAlive(t, true, guard)
	}
	require.NoError(t, other.Close())
	takeOver(t, dsn, "")
	_, err := io.ReadAll(p.lines) // ends when the guards have ended
	require.NoError(t, err)
}

// If a guard is killed together with the holder, descendants of its COMMAND may keep running. The other guard does not
// end the session then.
func TestPooled_HolderAndGuardKilled(t *testing.T) {
	t.Parallel()
	dsn := tenuretest.NewServer(t).DSN()
	p := newPool(t, "--ydb", dsn, "--timeout", "10m", "--", tagged("a"), tagged("b"))
	pids := p.families("a", "b")
	t.Cleanup(func() {
		for _, pid := range pids["a"] {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	guards := p.guards()
	frozen(t, p.cmd.Process.Pid) // it must not notice the death of the guard
	require.NoError(t, syscall.Kill(guards["pool task 0"], syscall.SIGKILL))
	require.NoError(t, p.cmd.Process.Kill())
	require.Eventually(t, func() bool {
		return !alive(guards["pool task 1"]) && !slices.ContainsFunc(pids["b"], alive)
	}, soon, time.Millisecond)
	client, err := tenure.Open(t.Context(), dsn)
	require.NoError(t, err)
	session, err := client.Session(t.Context(), path)
	require.NoError(t, err)
	_, err = session.AcquireSemaphore(t.Context(), "lock1", coordination.Exclusive, options.WithEphemeral(true),
		options.WithAcquireTimeout(0))
	require.ErrorIs(t, err, coordination.ErrAcquireTimeout)
	require.NoError(t, client.Close(t.Context()))
}

// openBarrier opens the write end of the pipe that the guards have in common.
func openBarrier(t *testing.T, guards []int) *os.File {
	t.Helper()
	pipes := func(pid int) map[string]string {
		found := make(map[string]string)
		paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		require.NoError(t, err)
		for _, path := range paths {
			if link, err := os.Readlink(path); err == nil && strings.HasPrefix(link, "pipe:") && filepath.Base(path) != "2" {
				found[link] = path
			}
		}

		return found
	}
	first := pipes(guards[0])
	for link := range pipes(guards[1]) {
		if path, ok := first[link]; ok {
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)

			return file
		}
	}
	require.FailNow(t, "no barrier")

	return nil
}

// If a guard is killed, only its COMMAND ends.
func TestPooled_GuardKilled(t *testing.T) {
	t.Parallel()
	const told = `exec 2>&-; trap 'echo told to stop' TERM; echo ready >"$READY"; while :; do sleep 0.01; done`
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	p := newPool(t, "--ydb", tenuretest.NewServer(t).DSN(), "--", tagged("a"), tagged("b"),
		strings.ReplaceAll(told, "$READY", fifo))
	pids := p.families("a", "b")
	_, err := os.ReadFile(fifo) // it handles the signal now
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(p.guards()["pool task 0"], syscall.SIGKILL))
	require.Regexp(t, `^task 0: exit code 125: (COMMAND was killed, because its guard, pid \d+|`+ // or before it has told
		`cannot run COMMAND: the guard, pid \d+, has ended while it started COMMAND, which may have run)`, p.line())
	requireAlive(t, false, pids["a"]...)
	requireAlive(t, true, pids["b"]...)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.says("told to stop")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	require.Equal(t, []string{"task 1: exit code 137: %!w(<nil>)", "task 2: exit code 137: %!w(<nil>)"}, p.sorted(2))
	requireAlive(t, false, pids["b"]...)
	require.Zero(t, p.code())
}
