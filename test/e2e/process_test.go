package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// A process is a command that was started on a stage.
type process struct {
	stage  *stage
	name   string
	cmd    *exec.Cmd
	report *net.UnixConn // reports its end to the stage
	end    func() error  // waits for its end and returns the result of exec.Cmd.Wait
}

// start starts one of our commands. The name must be unique on the stage.
func (s *stage) start(name, command string, args ...string) *process {
	s.t.Helper()

	return s.startWith(nil, name, command, args...)
}

// startWith is like start with further variables.
func (s *stage) startWith(env []string, name, command string, args ...string) *process {
	s.t.Helper()

	return s.launch(env, s.file(s.output(name, stdout)), s.file(s.output(name, stderr)), name, command, args...)
}

// startTo is like start with files of the caller's for the output of the process.
func (s *stage) startTo(out, errs *os.File, name, command string, args ...string) *process {
	s.t.Helper()

	return s.launch(nil, out, errs, name, command, args...)
}

func (s *stage) launch(env []string, out, errs *os.File, name, command string, args ...string) *process {
	s.t.Helper()
	p := &process{stage: s, name: name, cmd: exec.Command(filepath.Join(scratch, command), args...)}
	p.cmd.Env = environment(s.dir)
	if env != nil {
		p.cmd.Env = append(p.cmd.Env[1:], env...) // its own credentials
	}
	p.cmd.SysProcAttr = dieWithUs()
	p.report = s.output(name, ended)
	p.cmd.Stdout, p.cmd.Stderr = out, errs
	require.NoError(s.t, p.cmd.Start())

	p.end = sync.OnceValue(func() error {
		err := p.cmd.Wait()
		_, _ = p.report.Write([]byte(p.cmd.ProcessState.String() + "\n"))

		return err
	})
	s.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // fails if it has ended
		_ = p.end()
	})

	return p
}

// environment returns an environment without the user's addresses, credentials and proxies. Commands wait for a busy
// server.
func environment(home string) []string {
	return []string{
		"YDB_ANONYMOUS_CREDENTIALS=1", "HOME=" + home, "PATH=" + os.Getenv("PATH"),
		"GORACE=halt_on_error=1 atexit_sleep_ms=0", "TENURE_CONNECT_TIMEOUT=1m",
		"TENURE_TIMEOUT=1m", // leases outlast a pause of a busy machine
	}
}

// output returns a socket. The stage reads what is written to it as lines of the named process.
func (s *stage) output(name string, via channel) *net.UnixConn {
	s.t.Helper()
	own := &net.UnixAddr{Name: filepath.Join(s.dir, name+"."+string(via)), Net: "unixgram"}
	c, err := net.DialUnix("unixgram", own, s.socket.LocalAddr().(*net.UnixAddr))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { c.Close() })

	return c
}

func (s *stage) file(c *net.UnixConn) *os.File {
	s.t.Helper()
	f, err := c.File()
	require.NoError(s.t, err)
	s.t.Cleanup(func() { f.Close() })

	return f
}

// await waits until the process prints one of the texts after the place.
func (p *process) await(place int, limit time.Duration, texts ...string) (found line, behind int) {
	p.stage.t.Helper()

	return p.stage.awaitOf(place, limit, p.name, texts...)
}

// terminate asks the process to shut down cleanly, with SIGTERM.
func (p *process) terminate() {
	p.stage.t.Helper()
	require.NoError(p.stage.t, p.cmd.Process.Signal(syscall.SIGTERM))
}

// stop shuts the process down cleanly and waits until it has exited with 0.
func (p *process) stop() {
	p.stage.t.Helper()
	p.terminate()
	p.ends()
}

// finish waits for the end of the process and returns the result of exec.Cmd.Wait. A process that does not end soon
// fails the test.
func (p *process) finish() error {
	p.stage.t.Helper()
	abort := time.AfterFunc(soon, func() {
		p.stage.t.Errorf("%s has not ended within %v", p.name, soon)
		_ = p.cmd.Process.Signal(syscall.SIGABRT) // it may print its stacks
	})
	defer abort.Stop()
	kill := time.AfterFunc(soon+10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()

	return p.end()
}

// ends waits until the process has exited with 0.
func (p *process) ends() {
	p.stage.t.Helper()
	require.NoError(p.stage.t, p.finish(), p.name)
	p.gone()
}

// gone waits until the stage has read the end of the process, and thus all its output.
func (p *process) gone() {
	p.stage.t.Helper()
	p.stage.until(p.name+" ends", soon, func(lines []line) bool {
		return slices.ContainsFunc(lines, func(l line) bool { return l.who == p.name && l.via == ended })
	})
}

// signal sends a signal to the process.
func (p *process) signal(sig syscall.Signal) {
	p.stage.t.Helper()
	require.NoError(p.stage.t, p.cmd.Process.Signal(sig))
}

// kill kills the process and waits for its end. It returns an instant before the kill.
func (p *process) kill() (before time.Time) {
	p.stage.t.Helper()
	before = time.Now()
	require.NoError(p.stage.t, p.cmd.Process.Kill())
	_ = p.end()
	p.gone()

	return before
}
