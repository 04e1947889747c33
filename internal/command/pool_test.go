//go:build unix

package command_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/command"
	"tenure/internal/guard"
)

// newPooled returns a play with a pooled COMMAND.
func newPooled(t *testing.T, script string) *play {
	t.Helper()
	p := newPlay(t, script)
	p.Pooled = true

	return p
}

// Several COMMANDs run at the same time, and each ends on its own.
func TestPooled_Several(t *testing.T) {
	t.Parallel()
	var plays []*play
	for range 3 {
		plays = append(plays, newPooled(t, as("obedient")))
	}
	for _, p := range plays {
		p.begin()
		p.number()
	}
	plays[1].stop(nil)
	require.Equal(t, 3, plays[1].end())
	require.Equal(t, "SIGTERM", plays[1].line())
	plays[1].requireGone()
	plays[0].lose(errors.New("unplugged"))
	require.Equal(t, command.ExitLost, plays[0].end())
	plays[0].requireGone()
	require.NoError(t, syscall.Kill(plays[2].group, 0))
	plays[2].stop(nil)
	require.Equal(t, 3, plays[2].end())
}

// A pooled COMMAND is stopped with its own signal, whatever the cause.
func TestPooled_Signal(t *testing.T) {
	t.Parallel()
	p := newPooled(t, as("obedient"))
	p.Signal = syscall.SIGUSR1
	p.begin()
	p.number()
	p.stop(&cli.Interrupt{Signal: syscall.SIGINT})
	require.Equal(t, "SIGUSR1", p.line())
	require.Equal(t, 3, p.end())
}

// A pooled COMMAND has no terminal and no input.
func TestPooled_NoTerminal(t *testing.T) {
	t.Parallel()
	p := newPooled(t, `echo ready; (: </dev/tty) 2>&- && echo a terminal; read line && echo "$line"; echo the end
		while [ ! -e "$MARK" ]; do sleep 0.01; done`)
	mark := filepath.Join(t.TempDir(), "mark")
	p.Env = []string{"MARK=" + mark}
	p.begin()
	require.Equal(t, "the end", p.line())
	session, err := unix.Getsid(p.group)
	require.NoError(t, err)
	require.Equal(t, p.group, session)
	require.NoError(t, os.WriteFile(mark, nil, 0o600))
	require.Zero(t, p.end())
}

// After Kill is closed, COMMAND is killed immediately.
func TestPooled_Kill(t *testing.T) {
	t.Parallel()
	kill := make(chan struct{})
	p := newPooled(t, stubborn)
	p.Kill = kill
	p.begin()
	p.stop(nil)
	close(kill)
	require.Equal(t, 137, p.end())
	p.requireGone()
	require.Len(t, p.warned, 1)
	require.EqualError(t, p.warned[0], "killing COMMAND: it must stop immediately")
}

// Nothing that a pooled COMMAND has started outlives it.
func TestPooled_KillsRest(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"by itself": "exit 4", "killed": "kill -KILL $$",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPooled(t, `setsid sh -c 'trap "" TERM; sleep 1000; :' & (sleep 1000 &); echo ready; `+script)
			p.begin()
			p.rest() // ends when no process has the other end open
			require.Contains(t, []int{4, 137}, p.end())
		})
	}
}

// What still runs when COMMAND has ended may finish if it does not take long.
func TestPooled_RestFinishes(t *testing.T) {
	t.Parallel()
	said := ""
	for range 3 { // it may take a second: the machine may pause once
		p := newPooled(t, `(sleep 0.1; echo finished) & echo ready`)
		p.begin()
		said = p.rest()
		require.Zero(t, p.end())
		if said != "" {
			break
		}
	}
	require.Equal(t, "finished\n", said)
}

// A COMMAND that is stopped by a signal is reported, and can be stopped for good.
func TestPooled_Suspended(t *testing.T) {
	t.Parallel()
	p := newPooled(t, as("suspended"))
	suspended := make(chan command.Event, 10)
	p.Observe = func(e command.Event) { suspended <- e }
	p.begin()
	p.number()
	p.awaitStop(suspended)
	p.stop(nil)
	require.Equal(t, "SIGTERM", p.line())
	require.Equal(t, 3, p.end())
}

// A gate is a writer that blocks until Hurry.
type gate struct {
	blocked, open chan struct{}
	hurry         func()
}

func newGate() *gate {
	g := &gate{blocked: make(chan struct{}, 1), open: make(chan struct{})}
	g.hurry = sync.OnceFunc(func() { close(g.open) })

	return g
}

func (g *gate) Hurry() { g.hurry() }

func (g *gate) Write(b []byte) (int, error) {
	select {
	case g.blocked <- struct{}{}:
	default: // the test has seen it
	}
	<-g.open

	return len(b), nil
}

// Output that nobody reads delays neither a COMMAND that is asked to stop, nor one that has ended.
func TestPooled_OutputBlocks(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"stopped": `trap 'i=0; while [ $i -lt 4000 ]; do echo "the last words, once more and once more"; i=$((i+1)); done
			exit 5' TERM
			echo; while :; do sleep 0.01; done`,
		"ended": `echo; exit 5`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate()
			p := newPooled(t, script)
			p.Stdout, p.Argv = g, []string{"sh", "-c", script}
			result, kill := make(chan error, 1), make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p.Kill = kill
			go func() { result <- p.Run(ctx, p.lease) }()
			received(t, "COMMAND has written something", g.blocked)
			if name == "stopped" {
				cancel()
			}
			select {
			case err := <-result:
				require.Equal(t, 5, code(t, err))
			case <-time.After(soon):
				close(kill)
				require.FailNow(t, "Run does not return")
			}
		})
	}
}

// Heard is called when COMMAND has written something.
func TestPooled_Heard(t *testing.T) {
	t.Parallel()
	var heard atomic.Int64
	p := newPooled(t, `echo >&2; read line`)
	p.Stdout, p.Stderr = io.Discard, io.Discard
	p.Heard = func() { heard.Add(1) }
	require.Error(t, p.Run(t.Context(), p.lease))
	require.GreaterOrEqual(t, heard.Load(), int64(1))
}

// Each line on descriptor 3 is a state. TENURE_FD is another descriptor.
func TestState(t *testing.T) {
	t.Parallel()
	p := newPooled(t, `echo 1 >&3; echo 'two words' >&3; echo >&3; echo $TENURE_FD; printf 'no newline' >&3`)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	p.Stdout = w
	var states []string
	p.State = func(state []byte) { states = append(states, string(state)) }
	require.NoError(t, p.Run(t.Context(), p.lease))
	require.NoError(t, w.Close())
	require.NotEmpty(t, states)
	require.Empty(t, states[len(states)-1], "the last state is delivered before Run returns")
	for i, state := range states[:len(states)-1] {
		require.Contains(t, []string{"1", "two words"}[i:], state)
	}
	said, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "4", strings.Fields(string(said))[1])
	require.Len(t, p.warned, 1)
	require.EqualError(t, p.warned[0], "the last state of COMMAND is not saved: it ends without a newline after 10 bytes")
}

// A state has at most 1 MiB. A longer one does not spoil the next one.
func TestState_Size(t *testing.T) {
	t.Parallel()
	p := newPooled(t, `head -c 1048577 /dev/zero >&3; echo >&3; head -c 1048576 /dev/zero >&3; echo >&3`)
	var sizes []int
	p.State = func(state []byte) { sizes = append(sizes, len(state)) }
	require.NoError(t, p.Run(t.Context(), p.lease))
	require.Equal(t, []int{1 << 20}, sizes)
	require.Len(t, p.warned, 1)
	require.EqualError(t, p.warned[0], "a state of COMMAND is not saved: it has 1048577 bytes: the limit is 1048576")
}

// A slow receiver gets the newest state, and does not block COMMAND.
func TestState_Slow(t *testing.T) {
	t.Parallel()
	p := newPooled(t, `echo first >&3; read line <"$FIFO"
		i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done >&3; echo done`)
	fifo := t.TempDir() + "/fifo"
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	p.Env = []string{"FIFO=" + fifo}
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	p.Stdout = w
	first, finished := make(chan struct{}), make(chan struct{})
	var states []string
	p.State = func(state []byte) {
		if states = append(states, string(state)); len(states) == 1 {
			close(first)
			<-finished
		}
	}
	result := make(chan error, 1)
	go func() { result <- p.Run(t.Context(), p.lease) }()
	received(t, "the first state", first)
	require.NoError(t, os.WriteFile(fifo, []byte("\n"), 0))
	require.NoError(t, r.SetReadDeadline(time.Now().Add(soon)))
	lines := bufio.NewReader(r)
	for line := ""; line != "done\n"; {
		line, err = lines.ReadString('\n')
		require.NoError(t, err)
	}
	close(finished)
	require.NoError(t, received(t, "the end of Run", result))
	require.NoError(t, w.Close())
	require.Equal(t, "19999", states[len(states)-1])
	require.Less(t, len(states), 20000)
}

// A guard does not start COMMAND after the deadline of the lease.
func TestGuard_Late(t *testing.T) {
	t.Parallel()
	g, err := guard.Start("test")
	require.NoError(t, err)
	defer g.Close()
	_, err = startTrue(t, g, clock.System().Now(), func() <-chan struct{} { return nil })
	require.ErrorIs(t, err, guard.ErrLate)
}

// A guard that gets to its work late starts COMMAND if the lease was renewed meanwhile.
func TestGuard_Renewed(t *testing.T) {
	t.Parallel()
	g, err := guard.Start("test")
	require.NoError(t, err)
	defer g.Close()
	require.NoError(t, syscall.Kill(g.PID(), syscall.SIGSTOP))
	deadline := clock.System().Now().Add(3 * time.Second) // the newer one is sent until then
	_, err = startTrue(t, g, deadline, func() <-chan struct{} {
		g.Extend(deadline.Add(time.Hour))
		time.AfterFunc(deadline.Sub(clock.System().Now()), g.Continue)

		return nil
	})
	require.NoError(t, err)
}

// While it waits for the guard, Run looks for renewals.
func TestGuard_Renews(t *testing.T) {
	t.Parallel()
	g, err := guard.Start("test")
	require.NoError(t, err)
	defer g.Close()
	require.NoError(t, syscall.Kill(g.PID(), syscall.SIGSTOP))
	renewed := make(chan struct{})
	close(renewed)
	calls := 0
	_, err = startTrue(t, g, 0, func() <-chan struct{} {
		if calls++; calls < 3 {
			return renewed
		}
		g.Continue()

		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 3, calls)
}

// startTrue lets a guard start a COMMAND under a lease.
func startTrue(t *testing.T, g *guard.Guard, deadline clock.Instant, renew func() <-chan struct{}) (int, error) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	require.NoError(t, err)
	defer null.Close()
	path, err := command.Look("true")
	require.NoError(t, err)

	return g.Run(guard.Program{Path: path, Argv: []string{"true"}},
		guard.Files{Stdin: null, Stdout: null, Stderr: null},
		&guard.Lease{Deadline: deadline, Timeout: time.Second}, renew)
}

// Lifelines stay open in COMMAND.
func TestPooled_Lifelines(t *testing.T) {
	t.Parallel()
	lifeline, w, err := os.Pipe()
	require.NoError(t, err)
	defer w.Close()
	p := newPooled(t, "echo ready; sleep 1000")
	p.Lifelines = []*os.File{w}
	p.begin()
	require.NoError(t, w.Close())
	require.NoError(t, lifeline.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = lifeline.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	p.stop(nil)
	require.Equal(t, 143, p.end())
	require.NoError(t, lifeline.SetReadDeadline(time.Now().Add(soon)))
	_, err = lifeline.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
}
