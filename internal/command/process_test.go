//go:build unix

package command_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

// A process is a holder, or a shell that starts one, in a process of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	side  *os.File      // the test's end of its stdout or its terminal
	lines *bufio.Reader // the output of the process and its children
}

// newProcess starts a holder with these arguments and without a terminal.
func newProcess(t *testing.T, argv ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Getenv("SELF"), argv...)
	cmd.Env = append(os.Environ(), role+"=holder")
	out, in, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = in, in
	require.NoError(t, cmd.Start())
	require.NoError(t, in.Close())

	return watch(t, cmd, out)
}

// newTerminal runs the script with a shell in the foreground of a new terminal. In the script, HOLD stands for the
// command line of a holder.
// With noflsh, the terminal keeps the output that a process writes while Ctrl-C or Ctrl-Z is handled.
func newTerminal(t *testing.T, script string, env ...string) *process {
	t.Helper()
	script = strings.ReplaceAll(script, "HOLD", `env TENURE_TEST_ROLE=holder "$SELF"`)
	cmd := exec.Command("sh", "-c", "stty -echo noflsh; "+script)
	cmd.Env = append(os.Environ(), env...)
	side, err := pty.Start(cmd)
	require.NoError(t, err)

	return watch(t, cmd, side)
}

func watch(t *testing.T, cmd *exec.Cmd, side *os.File) *process {
	t.Helper()
	p := &process{t, cmd, side, bufio.NewReader(side)}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended already
		_ = cmd.Wait()
		side.Close()
	})
	require.NoError(t, side.SetReadDeadline(time.Now().Add(soon)))

	return p
}

// says requires that the next line is want.
func (p *process) says(want string) {
	p.t.Helper()
	require.Equal(p.t, want, p.line())
}

func (p *process) line() string {
	p.t.Helper()
	line, err := p.lines.ReadString('\n')
	require.NoError(p.t, err)

	return strings.TrimRight(line, "\r\n")
}

// number returns the next line, which is a process id.
func (p *process) number() int {
	p.t.Helper()
	n, err := strconv.Atoi(p.line())
	require.NoError(p.t, err)

	return n
}

// types enters the text at the terminal.
func (p *process) types(text string) {
	p.t.Helper()
	_, err := p.side.WriteString(text)
	require.NoError(p.t, err)
}

// code waits for the end and returns the exit code.
func (p *process) code() int {
	p.t.Helper()
	limit := time.AfterFunc(soon, func() { _ = p.cmd.Process.Signal(syscall.SIGKILL) })
	defer limit.Stop()
	_ = p.cmd.Wait()

	return p.cmd.ProcessState.ExitCode()
}

const (
	ctrlC = "\x03"
	ctrlZ = "\x1a"
)

// The holder forwards the first interrupt to COMMAND and kills COMMAND at the second one.
func TestRun_SecondInterruptKills(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "--", "sh", "-c", as("stubborn"))
	p.says("ready")
	p.number()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	p.says("SIGINT")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.says("holder: killing COMMAND: terminated signal received")
	require.Equal(t, 137, p.code())
}

// COMMAND inherits the descriptors that the shell has opened for it. A lifeline does not replace them.
func TestRun_ShellDescriptors(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("mine\n"), 0o600))
	cmd := exec.Command("sh", "-c", `"$SELF" -- cat /dev/fd/3 3<"$FILE"`)
	cmd.Env = append(os.Environ(), role+"=holder", "FILE="+file)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "mine\n", string(out))
}

// SIGHUP interrupts the holder.
func TestRun_HangUp(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "--", "sh", "-c", as("obedient"))
	p.says("ready")
	p.number()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP))
	p.says("SIGHUP")
	require.Equal(t, 3, p.code())
}

// COMMAND gets the terminal when it needs it, and then Ctrl-C too. Afterwards the holder is in the foreground again.
func TestRun_Terminal(t *testing.T) {
	t.Parallel()
	p := newTerminal(t, `HOLD -- sh -c 'echo ready; read line; echo COMMAND got $line; `+as("obedient")+`'
		echo $?; read line; echo the shell got $line`)
	p.says("ready")
	p.types("hello\n")
	p.says("COMMAND got hello")
	p.says("ready")
	p.number()
	p.types(ctrlC)
	p.says("SIGINT")
	p.says("3")
	p.types("bye\n")
	p.says("the shell got bye")
	require.Zero(t, p.code())
}

// The holder keeps the foreground if COMMAND cannot run.
func TestRun_TerminalAfterFailedStart(t *testing.T) {
	t.Parallel()
	p := newTerminal(t, `HOLD -- "$HEADLESS" 2>&-; echo $?; read line; echo the shell got $line`,
		"HEADLESS="+headless(t))
	p.says("126")
	p.types("bye\n")
	p.says("the shell got bye")
}

// headless returns the path of a program that Look accepts and that cannot be started.
func headless(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "headless")
	require.NoError(t, os.WriteFile(path, []byte("exit 7\n"), 0o700))

	return path
}

// Ctrl-Z does nothing if no shell could continue the processes, as in a script that is the first process of a session.
func TestRun_CannotBeSuspended(t *testing.T) {
	t.Parallel()
	p := newTerminal(t, `trap : INT; HOLD -- sh -c '`+as("obedient")+`'; echo $?`)
	p.says("ready")
	p.number()
	p.types(ctrlZ)
	p.types(ctrlC)
	p.says("SIGINT")
	p.says("3")
}

// The holder can write from the background to a terminal that forbids that (stty tostop).
func TestRun_WriteFromBackground(t *testing.T) {
	t.Parallel()
	p := newTerminal(t, `stty tostop; sh -c 'echo $$; exec HOLD -stop-timeout 10ms -- sh -c "$0"' '`+stubborn+`'; echo $?`)
	holder := p.number()
	p.says("ready")
	require.NoError(t, syscall.Kill(holder, syscall.SIGTERM))
	p.says("holder: killing COMMAND: it did not end within 10ms of SIGTERM")
	p.says("137")
}

// A holder that is started in the background does not take the foreground.
func TestRun_Background(t *testing.T) {
	t.Parallel()
	p := newTerminal(t, `set -m; HOLD -- sh -c '`+as("obedient")+`' & read line; echo the shell got $line
		kill -TERM $!; wait $!; echo $?`)
	p.says("ready")
	p.number()
	p.types("hello\n")
	p.says("the shell got hello")
	p.says("SIGTERM")
	p.says("3")
}
