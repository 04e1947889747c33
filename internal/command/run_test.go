//go:build unix

package command_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"tenure/internal/cli"
	"tenure/internal/command"
	"tenure/internal/term"
)

func TestRun_ExitCode(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{
		"exit 0": 0, "exit 7": 7, "exit 255": 255,
		"kill -TERM $$": 143, "kill -KILL $$": 137, "kill -INT $$": 130,
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			p := newPlay(t, "echo ready; "+script).begin()
			require.Equal(t, want, p.end())
			require.Empty(t, p.warned)
		})
	}
}

// COMMAND inherits files directly.
func TestRun_InheritsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in, out, errs := filepath.Join(dir, "in"), filepath.Join(dir, "out"), filepath.Join(dir, "errs")
	require.NoError(t, os.WriteFile(in, []byte("first\nsecond\n"), 0o600))
	stdin, err := os.Open(in)
	require.NoError(t, err)
	defer stdin.Close()
	stdout, err := os.Create(out)
	require.NoError(t, err)
	defer stdout.Close()
	stderr, err := os.Create(errs)
	require.NoError(t, err)
	defer stderr.Close()

	p := newPlay(t, "read line; echo $line; ls -Li /dev/fd/0 >&2")
	p.Stdin, p.Stdout, p.Stderr = stdin, stdout, stderr
	require.NoError(t, p.Run(t.Context(), p.lease))

	said, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, "first", strings.Fields(string(said))[1])
	info, err := stdin.Stat()
	require.NoError(t, err)
	said, err = os.ReadFile(errs)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(info.Sys().(*syscall.Stat_t).Ino), strings.Fields(string(said))[0])
	rest, err := io.ReadAll(stdin)
	require.NoError(t, err)
	require.Equal(t, "second\n", string(rest), "the shell reads one line from the file itself")
}

func TestRun_Environment(t *testing.T) {
	t.Parallel()
	p := newPlay(t, `echo ready; env | grep ^TENURE_ | sort
		for fd in /dev/fd/*; do case $(ls -Li $fd 2>&-) in "$INODE "*) cat $fd; esac; done`)
	p.Env = command.Environment(42, "/local/tenure", map[string]uint64{"nightly": 12})
	lifeline, w, err := os.Pipe()
	require.NoError(t, err)
	defer lifeline.Close()
	_, err = w.WriteString("the lifeline\n")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	p.lease.session.inherit = func(cmd *exec.Cmd) { cmd.ExtraFiles = append(cmd.ExtraFiles, lifeline) }
	info, err := lifeline.Stat()
	require.NoError(t, err)
	p.Env = append(p.Env, fmt.Sprint("INODE=", info.Sys().(*syscall.Stat_t).Ino))
	p.begin()
	require.Equal(t, "TENURE_FD=3\nTENURE_NODE=/local/tenure\nTENURE_SEMAPHORE=nightly\n"+
		"TENURE_SESSION_ID=42\nTENURE_TOKEN=12\n"+
		"the lifeline\n", p.rest())
	require.Zero(t, p.end())
	flags, err := unix.FcntlInt(lifeline.Fd(), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.Equal(t, unix.FD_CLOEXEC, flags, "other processes do not inherit the lifeline")
}

// COMMAND's variables take precedence over those of this process, which may itself run under a lock.
func TestRun_EnvironmentOfOuterLock(t *testing.T) {
	t.Setenv("TENURE_TOKEN", "11")
	p := newPlay(t, `echo ready; echo $TENURE_TOKEN`)
	p.Env = []string{"TENURE_TOKEN=12"}
	p.begin()
	require.Equal(t, "12\n", p.rest())
	require.Zero(t, p.end())
}

// Run does not start COMMAND if the lease is lost.
func TestRun_NotStarted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(term.ErrLost)
	mark := filepath.Join(t.TempDir(), "mark")
	p := newPlay(t, "touch "+mark)
	require.Equal(t, term.ErrLost, p.Run(ctx, p.lease))
	require.NoFileExists(t, mark)
}

// as returns a script that runs act in the role.
func as(role string) string { return "TENURE_TEST_ROLE=" + role + ` exec "$SELF"` }

func TestRun_Stop(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cause error
		says  string
		code  int
	}{
		"context canceled": {errors.New("enough"), "SIGUSR1", 3},
		"interrupt":        {&cli.Interrupt{Signal: syscall.SIGINT}, "SIGINT", 3},
		"hang-up":          {fmt.Errorf("end: %w", &cli.Interrupt{Signal: syscall.SIGHUP}), "SIGHUP", 3},
		"lease lost":       {fmt.Errorf("%w: unplugged", term.ErrLost), "SIGUSR1", command.ExitLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlay(t, as("obedient"))
			p.Signal = syscall.SIGUSR1
			p.begin()
			p.number()
			p.stop(test.cause)
			require.Equal(t, test.says, p.line())
			require.Equal(t, test.code, p.end())
			require.Empty(t, p.warned)
			p.requireGone()
		})
	}
}

// Run sends the signal to the whole group and waits for it, even if COMMAND itself has ended.
func TestRun_StopGroup(t *testing.T) {
	t.Parallel()
	p := newPlay(t, "("+as("slow")+") & wait").begin()
	p.number()
	p.stop(nil)
	require.Equal(t, 143, p.end())
	require.Equal(t, "SIGTERM", p.line())
	p.requireGone()
}

// stubborn is a script that ignores signals. So does its child, which outlives it.
const stubborn = `trap "" INT TERM HUP USR1; sleep 1000 & echo ready; wait`

func TestRun_KillAfterGrace(t *testing.T) {
	t.Parallel()
	const grace = 300 * time.Millisecond
	for name, script := range map[string]string{
		"COMMAND":      stubborn,
		"its children": `(` + stubborn + `) & wait`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlay(t, script)
			p.Grace = grace
			p.begin()
			began := time.Now()
			p.stop(fmt.Errorf("%w: unplugged", term.ErrLost))
			require.Equal(t, command.ExitLost, p.end())
			require.GreaterOrEqual(t, time.Since(began), grace)
			require.Len(t, p.warned, 1)
			require.EqualError(t, p.warned[0], "killing COMMAND: it did not end within 300ms of SIGTERM")
			p.requireGone()
		})
	}
}

// Run kills COMMAND when the lease ends, even if the grace has not passed.
func TestRun_KillAtEndOfLease(t *testing.T) {
	t.Parallel()
	p := newPlay(t, stubborn).begin()
	p.stop(&cli.Interrupt{Signal: syscall.SIGINT})
	p.lose(errors.New("unplugged"))
	require.Equal(t, command.ExitLost, p.end())
	require.Len(t, p.warned, 1)
	require.EqualError(t, p.warned[0], "killing COMMAND: unplugged")
	p.requireGone()
}

// If COMMAND ends without being stopped, its background processes keep running.
func TestRun_LeavesBackgroundProcesses(t *testing.T) {
	t.Parallel()
	p := newPlay(t, "("+as("obedient")+") & read line")
	in, w, err := os.Pipe()
	require.NoError(t, err)
	defer in.Close()
	p.Stdin = in
	p.begin()
	pid := p.number()
	require.NoError(t, w.Close()) // lets COMMAND continue
	require.Equal(t, 1, p.end())
	require.NoError(t, syscall.Kill(pid, 0))
	require.Zero(t, p.lines.Buffered())

	require.NoError(t, syscall.Kill(pid, syscall.SIGTERM))
	require.Equal(t, "SIGTERM\n", p.rest())
}
