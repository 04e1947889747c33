//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/store/logstore"
)

// soon is the limit for something that happens immediately, on a machine that also runs other tests.
const soon = time.Minute

// Crew is a group of contenders that share a state directory. Only the goroutine of the test may call its methods. They
// fail the test if something goes wrong.
type Crew struct {
	Events  []Event // all events so far
	History *History

	tb      testing.TB
	model   Contender
	record  *Record
	alive   map[int]*Process
	started int
	stderr  *os.File // of all contenders
	life    *os.File // the write end of a pipe; children of contenders end when it is closed
	lives   *os.File // the read end, which contenders and their children inherit
}

// Process is a contender of a crew.
type Process struct {
	Who int

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended
}

// NewCrew makes an empty crew whose contenders are copies of the model. When the test ends, it kills the remaining
// ones.
func NewCrew(tb testing.TB, model Contender) *Crew {
	tb.Helper()
	dir, err := os.MkdirTemp("", "crew-") //nolint:usetesting // a socket's path must be short, and TempDir's is not
	require.NoError(tb, err)
	model.Dir, model.Record = filepath.Join(dir, "state"), filepath.Join(dir, "record")
	c := &Crew{tb: tb, model: model, alive: map[int]*Process{}, History: newHistory()}
	c.record, err = OpenRecord(model.Record)
	require.NoError(tb, err)
	c.stderr, err = os.OpenFile(filepath.Join(dir, "stderr"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(tb, err)
	c.lives, c.life, err = os.Pipe()
	require.NoError(tb, err)
	tb.Cleanup(func() {
		for _, p := range c.Living() {
			if tb.Failed() && model.Verbose {
				_ = p.cmd.Process.Signal(syscall.SIGQUIT) // prints its stacks
				<-p.ended
			}
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
		stderr := c.Stderr()
		if tb.Failed() {
			for _, e := range c.Events[max(0, len(c.Events)-50):] {
				tb.Logf("%v", e)
			}
			tb.Logf("output of the contenders:\n%s", stderr)
		}
		require.NoError(tb, errors.Join(c.record.Close(), c.stderr.Close(), c.life.Close(), c.lives.Close()))
		require.NoError(tb, os.RemoveAll(dir))
		require.NotRegexp(tb, `DATA RACE|panic: |fatal error: `, stderr)
	})

	return c
}

// Stderr returns everything that the contenders have written to standard error.
func (c *Crew) Stderr() string {
	c.tb.Helper()
	stderr, err := os.ReadFile(c.stderr.Name())
	require.NoError(c.tb, err)

	return string(stderr)
}

// Start starts a contender: a copy of the model to which the changes are applied.
func (c *Crew) Start(changes ...func(*Contender)) *Process {
	c.tb.Helper()
	contender := c.model
	contender.Who = c.started + 1
	for _, change := range changes {
		change(&contender)
	}
	cmd, err := contender.Command()
	require.NoError(c.tb, err)
	cmd.Stdin = c.lives

	return c.run(cmd)
}

// run starts a process of the crew.
func (c *Crew) run(cmd *exec.Cmd) *Process {
	c.tb.Helper()
	c.started++
	p := &Process{Who: c.started, cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = c.stderr
	require.NoError(c.tb, cmd.Start())
	c.alive[p.Who] = p
	go func() { // ends with the process
		defer close(p.ended)
		_ = cmd.Wait() // cmd.ProcessState has the result
	}()

	return p
}

// Follow reads the new events and checks them. It fails the test if a contender has ended unexpectedly.
func (c *Crew) Follow() {
	c.tb.Helper()
	events, err := c.record.Read(len(c.Events))
	require.NoError(c.tb, err)
	for _, e := range events {
		c.Events = append(c.Events, e)
		require.NoError(c.tb, c.History.add(e), "event %d: %v", len(c.Events), e)
	}
	for _, p := range c.alive {
		select {
		case <-p.ended:
			delete(c.alive, p.Who)
			require.Failf(c.tb, "a contender ended unexpectedly", "%d: %v", p.Who, p.cmd.ProcessState)
		default:
		}
	}
}

// Until calls Follow until the condition so is true. It fails the test after the limit.
func (c *Crew) Until(what string, limit time.Duration, so func() bool) {
	c.tb.Helper()
	timeout := time.After(limit)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for c.Follow(); !so(); c.Follow() {
		select {
		case <-look.C:
		case <-timeout:
			require.FailNow(c.tb, fmt.Sprintf("timed out after %v: waiting until %s", limit, what))
		}
	}
}

// UntilEvent skips the first events, behind in number, and calls Follow until a later event satisfies such. It returns
// that event.
func (c *Crew) UntilEvent(what string, limit time.Duration, behind int, such func(Event) bool) (found Event) {
	c.tb.Helper()
	c.Until(what, limit, func() bool {
		i := slices.IndexFunc(c.Events[behind:], such)
		if i >= 0 {
			found = c.Events[behind+i]
		}

		return i >= 0
	})

	return found
}

// Living returns the processes in the order of their start.
func (c *Crew) Living() []*Process {
	var ps []*Process
	for _, who := range slices.Sorted(maps.Keys(c.alive)) {
		ps = append(ps, c.alive[who])
	}

	return ps
}

// Host returns the process that hosts the server or is opening its store, or nil if none is known.
func (c *Crew) Host() *Process {
	owner, ok := logstore.Owner(c.model.Dir)
	for _, p := range c.alive {
		if ok && p.cmd.Process.Pid == owner.PID {
			return p
		}
	}

	return nil
}

// Holder returns the process that works on the task. It returns nil if no process does, or if that process is dead.
func (c *Crew) Holder(task string) *Process {
	if t := c.History.tasks[task]; t != nil && t.works {
		return c.alive[t.who]
	}

	return nil
}

// Kill kills the processes at the same time and returns when they are dead.
func (c *Crew) Kill(victims ...*Process) {
	c.tb.Helper()
	host := c.Host()
	for _, p := range victims {
		what := AsWaiter
		if p == host {
			what = AsHost
		}
		require.NoError(c.tb, c.record.Append(Kill, p.Who, what, 0))
	}
	for _, p := range victims {
		delete(c.alive, p.Who)
		require.NoError(c.tb, p.cmd.Process.Kill())
	}
	for _, p := range victims {
		<-p.ended
	}
}

// Signal sends a signal to a process.
func (c *Crew) Signal(p *Process, s syscall.Signal) {
	c.tb.Helper()
	require.NoError(c.tb, p.cmd.Process.Signal(s))
}

// Stop asks the processes to shut down cleanly and waits until they have ended.
func (c *Crew) Stop(ending ...*Process) {
	c.tb.Helper()
	for _, p := range ending {
		delete(c.alive, p.Who)
		require.NoError(c.tb, c.record.Append(Quit, p.Who, AsWaiter, 0))
		c.Signal(p, syscall.SIGTERM)
	}
	for _, p := range ending {
		limit := time.AfterFunc(soon, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) }) // prints its stacks
		<-p.ended
		limit.Stop()
		end := p.cmd.ProcessState
		tooSoon := end.String() == "signal: "+syscall.SIGTERM.String() // before it handled the signal
		require.True(c.tb, end.Success() || tooSoon, "%d: %v", p.Who, end)
	}
	c.Follow()
}
