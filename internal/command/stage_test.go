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

// soon is the limit for what happens at once, on a machine that is busy.
const soon = 20 * time.Second

// A play is a Run of a shell with a script, in the process of the test.
type play struct {
	*command.Command

	t      *testing.T
	lease  *lease
	lose   context.CancelCauseFunc // ends the lease
	stop   context.CancelCauseFunc // ends the context of Run
	group  int                     // of COMMAND
	lines  *bufio.Reader           // what COMMAND says
	result chan error              // of Run
	warned []error                 // to be read when Run has returned
}

// newPlay returns a play that is yet to begin. Its lease lasts, its grace is long.
func newPlay(t *testing.T, script string) *play {
	t.Helper()
	path, err := command.Look("sh")
	require.NoError(t, err)
	p := &play{t: t, lease: &lease{}, result: make(chan error, 1)}
	p.lease.ctx, p.lose = context.WithCancelCause(t.Context())
	p.Command = &command.Command{
		Path: path, Argv: []string{"sh", "-c", "echo $$; " + script},
		Signal: syscall.SIGTERM, Grace: time.Hour,
		Warn: func(err error) { p.warned = append(p.warned, err) },
	}

	return p
}

// begin starts the play and waits until the script says "ready".
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

// line returns the next line that is said.
func (p *play) line() string {
	p.t.Helper()
	line, err := p.lines.ReadString('\n')
	require.NoError(p.t, err)

	return strings.TrimSuffix(line, "\n")
}

// number returns the next line, which is a process id.
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

// code returns the exit code that an error of Run stands for.
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

// requireGone requires that nothing is left of the group, and that it has said no more.
func (p *play) requireGone() {
	p.t.Helper()
	require.Equal(p.t, syscall.ESRCH, syscall.Kill(-p.group, 0))
	require.Empty(p.t, p.rest())
}

// rest returns all that is yet to be said, when nobody is left.
func (p *play) rest() string {
	p.t.Helper()
	text, err := io.ReadAll(p.lines)
	require.NoError(p.t, err)

	return string(text)
}
