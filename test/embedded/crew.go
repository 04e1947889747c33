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

	"tenure/internal/store/pebblestore"
)

// soon is the limit for what happens at once, on a machine that is busy with other tests too.
const soon = 20 * time.Second

// Crew is contenders that share a state directory. Its methods are for the goroutine of the test, which they end if
// something has gone wrong.
type Crew struct {
	Events  []Event // so far
	History *History

	tb      testing.TB
	model   Contender
	record  *Record
	alive   map[int]*Process
	started int
	stderr  *os.File // of all
	life    *os.File // a pipe: when it is closed, children of contenders end
	lives   *os.File // their end of it
}

// Process is a contender of a crew.
type Process struct {
	Who int

	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
}

// NewCrew makes a crew of nobody yet, whose contenders will be as the model says. When the test ends, none is left.
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
				_ = p.cmd.Process.Signal(syscall.SIGQUIT) // shows what it does
				<-p.ended
			}
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
		said := c.Said()
		if tb.Failed() {
			for _, e := range c.Events[max(0, len(c.Events)-50):] {
				tb.Logf("%v", e)
			}
			tb.Logf("what the contenders said:\n%s", said)
		}
		require.NoError(tb, errors.Join(c.record.Close(), c.stderr.Close(), c.life.Close(), c.lives.Close()))
		require.NoError(tb, os.RemoveAll(dir))
		require.NotRegexp(tb, `DATA RACE|panic: |fatal error: `, said)
	})

	return c
}

// Said returns what the contenders have written to standard error.
func (c *Crew) Said() string {
	c.tb.Helper()
	said, err := os.ReadFile(c.stderr.Name())
	require.NoError(c.tb, err)

	return string(said)
}

// Start starts one more contender, as the model says but for the changes.
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
		_ = cmd.Wait() // cmd.ProcessState tells
	}()

	return p
}

// Follow judges what has happened since it was called last.
func (c *Crew) Follow() {
	c.tb.Helper()
	events, err := c.record.Read(len(c.Events))
	require.NoError(c.tb, err)
	for _, e := range events {
		c.Events = append(c.Events, e)
		require.NoError(c.tb, c.History.hear(e), "event %d: %v", len(c.Events), e)
	}
	for _, p := range c.alive {
		select {
		case <-p.ended:
			delete(c.alive, p.Who)
			require.Failf(c.tb, "a contender has ended", "%d: %v", p.Who, p.cmd.ProcessState)
		default:
		}
	}
}

// Until follows what happens until something is so.
func (c *Crew) Until(what string, limit time.Duration, so func() bool) {
	c.tb.Helper()
	timeout := time.After(limit)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for c.Follow(); !so(); c.Follow() {
		select {
		case <-look.C:
		case <-timeout:
			require.FailNow(c.tb, fmt.Sprintf("not within %v: %s", limit, what))
		}
	}
}

// UntilEvent follows what happens until there is such an event behind the first so many, and returns it.
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

// Host returns the process that hosts the server, or opens its store; nil: none is known.
func (c *Crew) Host() *Process {
	owner, ok := pebblestore.Owner(c.model.Dir)
	for _, p := range c.alive {
		if ok && p.cmd.Process.Pid == owner.PID {
			return p
		}
	}

	return nil
}

// Holder returns the process that works on the task; nil: none does, or it is dead.
func (c *Crew) Holder(task string) *Process {
	if t := c.History.tasks[task]; t != nil && t.works {
		return c.alive[t.who]
	}

	return nil
}

// Kill kills processes, all at the same time, and returns when they are dead.
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

// Stop asks processes to end in order, and returns when they have done so.
func (c *Crew) Stop(ending ...*Process) {
	c.tb.Helper()
	for _, p := range ending {
		delete(c.alive, p.Who)
		require.NoError(c.tb, c.record.Append(Quit, p.Who, AsWaiter, 0))
		c.Signal(p, syscall.SIGTERM)
	}
	for _, p := range ending {
		limit := time.AfterFunc(soon, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) }) // shows what it waits for
		<-p.ended
		limit.Stop()
		end := p.cmd.ProcessState
		tooSoon := end.String() == "signal: "+syscall.SIGTERM.String() // it did not know yet what to do about it
		require.True(c.tb, end.Success() || tooSoon, "%d: %v", p.Who, end)
	}
	c.Follow()
}
