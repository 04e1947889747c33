package command_test

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/command"
	"tenure/internal/disposition"
	"tenure/tenuretest"
)

// Signals whose default action ends a process are passed on to COMMAND and stop it gracefully.
func TestRun_GracefulSignals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, // of the process
		syscall.SIGABRT, syscall.SIGBUS, syscall.SIGSYS, syscall.SIGTRAP, // the runtime would print stacks
		syscall.SIGXCPU, syscall.SIGVTALRM, syscall.SIGPWR, 40,
	} {
		t.Run(command.SignalName(sig), func(t *testing.T) {
			t.Parallel()
			p := newProcess(t, "--", "sh", "-c", as("listener"))
			p.says("ready")
			p.number()
			require.NoError(t, p.cmd.Process.Signal(sig))
			p.saysAfterContinue(command.SignalName(sig))
			require.Equal(t, 3, p.code())
		})
	}
}

// Other signals are passed on to COMMAND without any effect on the holder.
func TestRun_PassedSignals(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "--", "sh", "-c", as("listener"))
	p.says("ready")
	p.number()
	for _, sig := range []syscall.Signal{
		syscall.SIGALRM, syscall.SIGCONT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH,
	} {
		require.NoError(t, p.cmd.Process.Signal(sig))
		p.says(command.SignalName(sig))
	}
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	p.saysAfterContinue("SIGINT")
	require.Equal(t, 3, p.code())
}

// saysAfterContinue requires that the next line except SIGCONT is want. COMMAND is continued, maybe twice, after it was
// asked to stop, and SIGCONT may be delivered first.
func (p *process) saysAfterContinue(want string) {
	p.t.Helper()
	said := p.line()
	for said == "SIGCONT" {
		said = p.line()
	}
	require.Equal(p.t, want, said)
}

// COMMAND starts with the dispositions and the signal mask that the holder was started with.
func TestRun_Dispositions(t *testing.T) {
	t.Parallel()
	if !disposition.Complete {
		t.Skip("without cgo, not all dispositions are known")
	}
	const trap = `trap '' INT QUIT PIPE USR1 TSTP TTOU; `
	const show = ` grep -E '^Sig(Ign|Blk)' /proc/self/status`
	for name, script := range map[string]string{
		"ignored": trap + "RUN" + show,
		"default": "RUN" + show,
		"blocked": "env --block-signal=USR2 --block-signal=WINCH RUN" + show,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := exec.Command("sh", "-c", strings.ReplaceAll(script, "RUN", "env A=B")).Output()
			if err != nil {
				t.Skip("env has no --block-signal")
			}
			got, err := exec.Command("sh", "-c",
				strings.ReplaceAll(script, "RUN", `env TENURE_TEST_ROLE=holder "$SELF" --`)).Output()
			require.NoError(t, err)
			require.Equal(t, string(want), string(got))
			t.Log(string(got))
		})
	}
}

// A signal that was ignored when the holder was started does not end it.
func TestRun_IgnoredOnEntry(t *testing.T) {
	t.Parallel()
	if !disposition.Complete {
		t.Skip("without cgo, not all dispositions are known")
	}
	p := newShell(t, `trap '' QUIT TERM XCPU; exec HOLD -- sh -c '`+as("listener")+`'`)
	p.says("ready")
	p.number()
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGXCPU, syscall.SIGUSR1} {
		require.NoError(t, p.cmd.Process.Signal(sig))
	}
	p.says("SIGUSR1")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	p.saysAfterContinue("SIGINT")
	require.Equal(t, 3, p.code())
}

// The limit of an ordinary stop is --stop-timeout, and not the grace.
func TestRun_StopTimeout(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "--grace", "10ms", "--", "sh", "-c", as("slow"))
	p.says("ready")
	p.number()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.says("SIGTERM")
	require.Equal(t, 3, p.code())

	p = newProcess(t, "--stop-timeout", "10ms", "--", "sh", "-c", as("stubborn"))
	p.says("ready")
	p.number()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Contains(t, p.line()+p.line(), "holder: killing COMMAND: it did not end within 10ms of SIGTERM")
	require.Equal(t, 137, p.code())
}

// TENURE_FD tells COMMAND each new deadline, and that the lease is in danger.
func TestRun_Descriptor(t *testing.T) {
	t.Parallel()
	const timeout = 6 * time.Second
	srv := tenuretest.NewServer(t)
	p := newProcess(t, "--ydb", srv.DSN(), "--timeout", timeout.String(), "--grace", "2s", "--",
		"sh", "-c", `trap "" USR1; while read line; do echo $line; done <&$TENURE_FD`)
	at := func() time.Time {
		deadline, err := time.Parse("2006-01-02T15:04:05.000Z", p.line())
		require.NoError(t, err)

		return deadline
	}
	first := at()
	require.WithinDuration(t, time.Now(), first, timeout)
	require.True(t, at().After(first))
	srv.Kill()
	for {
		line := p.line()
		if line == "danger" {
			break
		}
		_, err := time.Parse("2006-01-02T15:04:05.000Z", line)
		require.NoError(t, err)
	}
	require.Equal(t, 123, p.code())
}

// The lowest free descriptor is the one that TENURE_FD names. Most shells read only one digit.
func TestRun_DescriptorNumber(t *testing.T) {
	t.Parallel()
	p := newShell(t, `HOLD -- sh -c 'echo $TENURE_FD' 3</dev/null 4</dev/null 6</dev/null`)
	p.says("5")
	require.Zero(t, p.code())
}

// A pipeline does not wait for the guard or for the holder: COMMAND's end ends it.
func TestRun_Pipeline(t *testing.T) {
	t.Parallel()
	p := newShell(t, `HOLD -- echo hello | cat; echo over`)
	p.says("hello")
	p.says("over")
}
