//go:build unix

package command_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
	"tenure/internal/command"
)

// soon is a time limit for things that happen immediately. It is long because the machine may be busy.
const soon = time.Minute

// A play is a call of Run in the process of the test. COMMAND is a shell with a script.
type play struct {
	*command.Command

	t      *testing.T
	lease  *lease
	lose   context.CancelCauseFunc // ends the lease
	stop   context.CancelCauseFunc // ends the context of Run
	group  int                     // the process group of COMMAND
	lines  *bufio.Reader           // the output of COMMAND
	result chan error              // the result of Run
	warned []error                 // Killing and Problem; read it after Run has returned
}

// newPlay returns a play that has not begun. Its lease does not end unless the test calls lose, and its grace is long.
func newPlay(t *testing.T, script string) *play {
	t.Helper()
	path, err := command.Look("sh")
	require.NoError(t, err)
	p := &play{t: t, lease: &lease{}, result: make(chan error, 1)}
	p.lease.ctx, p.lose = context.WithCancelCause(t.Context())
	p.Command = &command.Command{
		Path: path, Argv: []string{"sh", "-c", "echo $$; " + script},
		Signal: syscall.SIGTERM, Grace: time.Hour,
		Observe: func(e command.Event) {
			switch e.(type) {
			case command.Killing, command.Problem:
				p.warned = append(p.warned, errors.New(e.String()))
			}
		},
	}

	return p
}

// begin starts the play and waits until the script prints "ready".
func (p *play) begin() *play {
	p.t.Helper()
	out, in, err := os.Pipe()
	require.NoError(p.t, err)
	p.t.Cleanup(func() { out.Close() })
	require.NoError(p.t, out.SetReadDeadline(time.Now().Add(soon)))
	p.lines = bufio.NewReader(out)
	p.Stdout, p.Stderr = in, in
	var ctx context.Context
	ctx, p.stop = context.WithCancelCause(p.t.Context())
	go func() {
		err := p.Run(ctx, p.lease)
		in.Close()
		p.result <- err
	}()
	p.group = p.number()
	require.Equal(p.t, "ready", p.line())

	return p
}

// line returns the next line of output.
func (p *play) line() string {
	p.t.Helper()
	line, err := p.lines.ReadString('\n')
	require.NoError(p.t, err)

	return strings.TrimSuffix(line, "\n")
}

// number returns the process id in the next line.
func (p *play) number() int {
	p.t.Helper()
	n, err := strconv.Atoi(p.line())
	require.NoError(p.t, err)

	return n
}

// end waits until Run returns and returns the exit code.
func (p *play) end() int {
	p.t.Helper()
	select {
	case err := <-p.result:
		return code(p.t, err)
	case <-time.After(soon):
		require.FailNow(p.t, "Run does not return")

		return 0
	}
}

// received waits for a value.
func received[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(soon):
		require.FailNow(t, "waited for too long", what)
	}

	return v
}

// awaitStop waits until an event reports that SIGSTOP has stopped COMMAND.
func (p *play) awaitStop(events <-chan command.Event) {
	p.t.Helper()
	want := command.Suspended{Signal: syscall.SIGSTOP, PID: p.group}
	for received(p.t, "COMMAND is stopped", events) != command.Event(want) {
	}
}

// code returns the exit code in an error of Run.
func code(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*cli.ExitError](err)
	require.True(t, ok, err)
	require.NoError(t, exit.Err)

	return exit.Code
}

// requireGone requires that the group is empty and has printed nothing more. If the guard had too little time on a busy
// machine, Run has killed it, and its children became those of the test. A command collects them, because it calls
// guard.Own. The test does not, because it has children of its own.
func (p *play) requireGone() {
	p.t.Helper()
	require.Eventually(p.t, func() bool { // a killed process needs a moment to end
		for pid := 1; pid > 0; {
			pid, _ = syscall.Wait4(-p.group, nil, syscall.WNOHANG, nil) // those that have ended
		}

		return errors.Is(syscall.Kill(-p.group, 0), syscall.ESRCH)
	}, soon, time.Millisecond)
	require.Empty(p.t, p.rest())
}

// rest waits until all processes have ended and returns the remaining output.
func (p *play) rest() string {
	p.t.Helper()
	text, err := io.ReadAll(p.lines)
	require.NoError(p.t, err)

	return string(text)
}
