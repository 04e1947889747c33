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

// A process is a command that runs, or has run, on a stage.
type process struct {
	stage *stage
	name  string
	cmd   *exec.Cmd
	mouth *net.UnixConn // says that it has ended
	end   func() error  // waits for its end; what it returns is that of exec.Cmd.Wait
}

// start starts a command of ours. Each process on a stage has a name of its own.
func (s *stage) start(name, command string, args ...string) *process {
	s.t.Helper()
	p := &process{stage: s, name: name, cmd: exec.Command(filepath.Join(scratch, command), args...)}
	p.cmd.Env = environment(s.dir)
	p.cmd.SysProcAttr = dieWithUs()
	out, errs := s.mouth(name, stdout), s.mouth(name, stderr)
	p.mouth = s.mouth(name, ended)
	p.cmd.Stdout, p.cmd.Stderr = s.file(out), s.file(errs)
	require.NoError(s.t, p.cmd.Start())

	p.end = sync.OnceValue(func() error {
		err := p.cmd.Wait()
		_, _ = p.mouth.Write([]byte(p.cmd.ProcessState.String() + "\n"))

		return err
	})
	s.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.end()
	})

	return p
}

// environment has nothing of the user's: no addresses, credentials or proxies.
func environment(home string) []string {
	return []string{
		"YDB_ANONYMOUS_CREDENTIALS=1", "HOME=" + home, "PATH=" + os.Getenv("PATH"),
		"GORACE=halt_on_error=1 atexit_sleep_ms=0",
	}
}

// mouth returns a socket through which what is written is heard on the stage as said by name.
func (s *stage) mouth(name string, via channel) *net.UnixConn {
	s.t.Helper()
	own := &net.UnixAddr{Name: filepath.Join(s.dir, name+"."+string(via)), Net: "unixgram"}
	c, err := net.DialUnix("unixgram", own, s.ear.LocalAddr().(*net.UnixAddr))
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

// await waits until the process says one of the texts behind the place.
func (p *process) await(place int, limit time.Duration, texts ...string) (found line, behind int) {
	p.stage.t.Helper()

	return p.stage.awaitOf(place, limit, p.name, texts...)
}

// terminate asks the process to end in order.
func (p *process) terminate() {
	p.stage.t.Helper()
	require.NoError(p.stage.t, p.cmd.Process.Signal(syscall.SIGTERM))
}

// stop has the process end in order, which must succeed.
func (p *process) stop() {
	p.stage.t.Helper()
	p.terminate()
	p.ends()
}

// ends waits until the process has ended; it must have succeeded.
func (p *process) ends() {
	p.stage.t.Helper()
	limit := time.AfterFunc(soon, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) }) // shows what it waits for
	defer limit.Stop()
	require.NoError(p.stage.t, p.end(), p.name)
	p.gone()
}

// gone waits until the end of the process has been heard on the stage, and with it all that it has said.
func (p *process) gone() {
	p.stage.t.Helper()
	p.stage.until(p.name+" is gone", soon, func(lines []line) bool {
		return slices.ContainsFunc(lines, func(l line) bool { return l.who == p.name && l.via == ended })
	})
}

// kill ends the process without a word from it, and returns an instant before its end.
func (p *process) kill() (before time.Time) {
	p.stage.t.Helper()
	before = time.Now()
	require.NoError(p.stage.t, p.cmd.Process.Kill())
	_ = p.end()
	p.gone()

	return before
}
