//go:build linux

package workers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/stretchr/testify/require"
)

// A process is one that the test has started.
type process struct {
	stage  *stage
	name   string
	cmd    *exec.Cmd
	args   []string
	exited chan struct{} // closed when the process has been collected
}

// start starts one of our commands. Its output is appended to files.
func (s *stage) start(name, command string, args ...string) *process {
	s.t.Helper()
	p := &process{
		stage: s, name: name, cmd: exec.Command(filepath.Join(scratch, command), args...), args: args,
		exited: make(chan struct{}),
	}
	p.cmd.Env = []string{
		"HOME=" + s.home, "TMPDIR=" + s.dir, "PATH=" + os.Getenv("PATH"), "YDB_ANONYMOUS_CREDENTIALS=1",
		"TENURE_CONFIG=/dev/null", stageVariable + "=" + s.dir, workerVariable + "=" + name,
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // if this process dies
	stdout, stderr := s.file(name+".stdout"), s.file(name+".stderr")
	defer stdout.Close()
	defer stderr.Close()
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	require.NoError(s.t, p.cmd.Start())
	go func() { // ends with the process
		defer close(p.exited)
		_ = p.cmd.Wait() // ProcessState has the result
	}()
	s.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // fails if it has ended
		<-p.exited
	})

	return p
}

func (s *stage) file(name string) *os.File {
	s.t.Helper()
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(s.t, err)

	return f
}

// worker starts a process of workers with the flags, which may end with COMMAND.
func (s *stage) worker(name string, flags ...string) *process {
	s.t.Helper()

	return s.start(name, "workers", append(s.where(), flags...)...)
}

// again starts the process again. Its name must be one that the record does not know yet.
func (p *process) again(name string) *process {
	p.stage.t.Helper()

	return p.stage.start(name, "workers", p.args...)
}

// signal sends a signal to the process, which must not have ended.
func (p *process) signal(sig syscall.Signal) {
	p.stage.t.Helper()
	require.False(p.stage.t, p.ended(), "%s has ended", p.name)
	require.NoError(p.stage.t, p.cmd.Process.Signal(sig))
}

// kill kills the worker with its tasks, and waits for its end. A worker that has ended stays as it is.
func (p *process) kill() {
	p.stage.t.Helper()
	p.stage.note(Killed, p.name)
	_ = p.cmd.Process.Kill() // fails if it has ended
	<-p.exited
}

func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// code waits for the end of the process and returns its exit code, or -1 if a signal has ended it.
func (p *process) code() int {
	p.stage.t.Helper()
	p.stage.until(p.name+" ends", p.ended)

	return p.cmd.ProcessState.ExitCode()
}

// stderr returns what the process has printed on standard error.
func (p *process) stderr() string {
	p.stage.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.stage.dir, p.name+".stderr"))
	require.NoError(p.stage.t, err)

	return string(text)
}

// printed waits until the process has printed the text on standard error.
func (p *process) printed(text string) {
	p.stage.t.Helper()
	p.stage.until(p.name+" prints "+text, func() bool { return strings.Contains(p.stderr(), text) })
}
