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

func TestMain(m *testing.M) {
	if code, is := Main(); is {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// soon is the limit for what happens at once, on a machine that is busy with other tests too.
const soon = 20 * time.Second

// crew is the contenders that share a state directory. Its methods are for the goroutine of the test.
type crew struct {
	t       *testing.T
	dir     string // has the state directory in it, and all else
	model   Contender
	alive   map[int]*process
	started int
	stderr  *os.File // of all
	life    *os.File // children of contenders end when it is closed
	lives   *os.File // their end of it

	record  *Record
	heard   int // how many of its events
	history *history
}

// process is a contender.
type process struct {
	who   int
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
}

// newCrew makes a crew of nobody, whose processes will be as the model says. When the test ends, none is left, and what
// they did until then has been judged.
func newCrew(t *testing.T, model Contender) *crew {
	t.Helper()
	dir, err := os.MkdirTemp("", "crew-") //nolint:usetesting // a socket's path must be short, and t.TempDir's is not
	require.NoError(t, err)
	model.Dir, model.Record = filepath.Join(dir, "state"), filepath.Join(dir, "record")
	c := &crew{t: t, dir: dir, model: model, alive: map[int]*process{}, history: newHistory()}
	c.record, err = OpenRecord(model.Record)
	require.NoError(t, err)
	c.stderr, err = os.OpenFile(filepath.Join(dir, "stderr"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	c.lives, c.life, err = os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, p := range c.alive {
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
		said, err := os.ReadFile(c.stderr.Name())
		if t.Failed() {
			t.Logf("what the processes said:\n%s", said)
		}
		require.NoError(t, errors.Join(err, c.record.Close(), c.stderr.Close(), c.life.Close(), c.lives.Close()))
		require.NoError(t, os.RemoveAll(dir))
		require.NotRegexp(t, `DATA RACE|panic: |fatal error: `, string(said))
	})

	return c
}

// start starts one more contender, as the model says but for the changes.
func (c *crew) start(changes ...func(*Contender)) *process {
	c.t.Helper()
	c.started++
	contender := c.model
	contender.Who = c.started
	for _, change := range changes {
		change(&contender)
	}
	cmd, err := contender.Command()
	require.NoError(c.t, err)
	cmd.Stdin, cmd.Stderr = c.lives, c.stderr
	require.NoError(c.t, cmd.Start())
	p := &process{who: contender.Who, cmd: cmd, ended: make(chan struct{})}
	c.alive[p.who] = p
	go func() { // ends with the process
		defer close(p.ended)
		_ = cmd.Wait() // it is in cmd.ProcessState
	}()

	return p
}

// follow hears what is new in the record.
func (c *crew) follow() {
	c.t.Helper()
	events, err := c.record.Read(c.heard)
	require.NoError(c.t, err)
	for _, e := range events {
		c.heard++
		require.NoError(c.t, c.history.hear(e), "event %d: %v", c.heard, e)
	}
	for _, p := range c.alive {
		select {
		case <-p.ended:
			delete(c.alive, p.who)
			require.Failf(c.t, "a contender has ended", "%d: %v", p.who, p.cmd.ProcessState)
		default:
		}
	}
}

// until follows the record until something is so.
func (c *crew) until(what string, limit time.Duration, so func() bool) {
	c.t.Helper()
	timeout := time.After(limit)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for c.follow(); !so(); c.follow() {
		select {
		case <-look.C:
		case <-timeout:
			require.FailNow(c.t, fmt.Sprintf("not within %v: %s", limit, what))
		}
	}
}

// turns waits for so many begins.
func (c *crew) turns(n int) {
	c.t.Helper()
	c.follow()
	n += c.history.turns
	c.until(fmt.Sprint("turn ", n), soon, func() bool { return c.history.turns >= n })
}

// host returns who hosts the server; nil if that can't be told.
func (c *crew) host() *process {
	owner, ok := pebblestore.Owner(c.model.Dir)
	for _, p := range c.alive {
		if ok && p.cmd.Process.Pid == owner.PID {
			return p
		}
	}

	return nil
}

// holder returns who works on the first task; nil: nobody who is alive.
func (c *crew) holder() *process {
	if who, ok := c.history.holder(c.model.Tasks[0]); ok {
		return c.alive[who]
	}

	return nil
}

// living returns the processes in the order of their start.
func (c *crew) living() []*process {
	var ps []*process
	for _, who := range slices.Sorted(maps.Keys(c.alive)) {
		ps = append(ps, c.alive[who])
	}

	return ps
}

// kill kills processes, all at the same time, and waits until they are dead.
func (c *crew) kill(victims ...*process) {
	c.t.Helper()
	host := c.host()
	for _, p := range victims {
		what := asWaiter
		if p == host {
			what = asHost
		}
		require.NoError(c.t, c.record.Append(Kill, p.who, what, 0))
	}
	for _, p := range victims {
		require.NoError(c.t, p.cmd.Process.Kill())
		delete(c.alive, p.who)
	}
	for _, p := range victims {
		<-p.ended
	}
}

// signal sends a signal to a process.
func (c *crew) signal(p *process, s syscall.Signal) {
	c.t.Helper()
	require.NoError(c.t, p.cmd.Process.Signal(s))
}

// stop asks a process to end in order, and waits until it has done so.
func (c *crew) stop(stopping ...*process) {
	c.t.Helper()
	for _, p := range stopping {
		delete(c.alive, p.who)
		c.signal(p, syscall.SIGTERM)
	}
	for _, p := range stopping {
		limit := time.AfterFunc(soon, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) }) // shows what it waits for
		<-p.ended
		limit.Stop()
		require.True(c.t, p.cmd.ProcessState.Success(), "%d: %v", p.who, p.cmd.ProcessState)
	}
	c.follow()
}
