package clustertest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// soon limits every wait, on a machine that also runs other tests.
const soon = time.Minute

// Process is a program that can be ended and started again with the same arguments. It dies with this process. Its
// methods may be called by one goroutine at a time.
type Process struct {
	Name string // for people

	t    testing.TB
	args []string
	env  []string
	log  string // the file to which it prints

	mu     sync.Mutex // guards the rest
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
	asked  bool          // the test has ended it
}

// newProcess returns a process that has not been started.
func newProcess(tb testing.TB, name string, args, env []string) *Process {
	tb.Helper()
	p := &Process{Name: name, t: tb, args: args, env: env, log: filepath.Join(tb.TempDir(), "log")}
	tb.Cleanup(p.finish)

	return p
}

// broken is what a program prints when it is wrong, whatever the test does to it.
var broken = regexp.MustCompile(`DATA RACE|(?m)^(panic: |fatal error: )|panic=`)

func (p *Process) finish() {
	if p.Running() {
		p.Kill()
	}
	text := p.Printed()
	if !p.asked {
		p.t.Errorf("%s has ended by itself: %v", p.Name, p.cmd)
	}
	if broken.Match(text) {
		p.t.Errorf("%s has printed what it must not", p.Name)
	}
	if p.t.Failed() {
		const most = 20_000
		p.t.Logf("%s: %s", p.Name, text[max(0, len(text)-most):])
	}
}

// Start starts the process, which does not run.
func (p *Process) Start() {
	p.t.Helper()
	require.False(p.t, p.Running(), "%s runs", p.Name)
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(p.t, err)
	defer log.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, log, log
	cmd.SysProcAttr = dieWithUs()
	require.NoError(p.t, cmd.Start())
	exited := make(chan struct{})
	go func() { // ends with the process, which finish ends
		defer close(exited)
		_ = cmd.Wait()
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.exited, p.asked = cmd, exited, false
}

// Running reports whether the process has been started and has not ended.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Kill kills the process with SIGKILL, and waits until it has ended.
func (p *Process) Kill() {
	p.t.Helper()
	p.end(syscall.SIGKILL)
}

// Terminate ends the process with SIGTERM, waits until it has ended, and returns its exit code.
func (p *Process) Terminate() int {
	p.t.Helper()
	p.end(syscall.SIGTERM)

	return p.cmd.ProcessState.ExitCode()
}

func (p *Process) end(sig os.Signal) {
	p.t.Helper()
	p.mu.Lock()
	p.asked = true
	p.mu.Unlock()
	p.signal(sig)
	select {
	case <-p.exited:
	case <-time.After(soon):
		require.FailNow(p.t, "timed out", "%s has not ended", p.Name)
	}
}

// signal sends a signal to the process, which runs.
func (p *Process) signal(sig os.Signal) {
	p.t.Helper()
	require.True(p.t, p.Running(), "%s does not run", p.Name)
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// Suspend stops the process with SIGSTOP, and waits until all its threads stand still.
func (p *Process) Suspend() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	require.Eventually(p.t, p.stopped, soon, time.Millisecond)
}

// Resume continues the process after Suspend.
func (p *Process) Resume() {
	p.t.Helper()
	p.signal(syscall.SIGCONT)
}

func (p *Process) stopped() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	if err != nil {
		return false
	}
	for _, file := range threads {
		if stat, err := os.ReadFile(file); err == nil && !bytes.Contains(stat, []byte(") T ")) {
			return false
		}
	}

	return true
}

// Printed returns all that the process has printed since it was first started.
func (p *Process) Printed() []byte {
	text, _ := os.ReadFile(p.log)

	return text
}

// until waits until something is so.
func until(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	limit := time.After(soon)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-limit:
			require.FailNow(tb, "timed out", "waiting until %s", what)
		}
	}
}
