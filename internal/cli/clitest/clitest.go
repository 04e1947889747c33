// Package clitest runs commands in the process of a test.
package clitest

import (
	"bufio"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"tenure/internal/cli"
)

// limit is the time limit for a line of output. It is far longer than any line takes.
const limit = time.Minute

// A Process is a running command.
type Process struct {
	Interrupt context.CancelFunc // has the effect of the first SIGINT

	lines chan string // the output on stdout and stderr; closed when the command has ended
	code  int         // set when lines is closed
}

// Start starts a command. The end of the test interrupts it if it still runs.
func Start(t *testing.T, build func(*cli.Env) *cobra.Command, args ...string) *Process {
	t.Helper()
	ctx, interrupt := context.WithCancel(context.WithoutCancel(t.Context()))
	p := &Process{Interrupt: interrupt, lines: make(chan string, 1000)}
	out, in := io.Pipe()
	go func() {
		p.code = cli.Run(ctx, build, &cli.Env{
			Args:      args,
			LookupEnv: func(string) (string, bool) { return "", false },
			Stdin:     strings.NewReader(""),
			Stdout:    in,
			Stderr:    in,
		})
		_ = in.Close()
	}()
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(p.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			p.lines <- scan.Text()
		}
	})
	t.Cleanup(func() {
		interrupt()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			reader.Wait()
		}()
		select {
		case <-ended:
		case <-time.After(limit):
			t.Errorf("the command %q does not end after an interrupt", args)
		}
	})

	return p
}

// Until returns the lines of output up to and including the given one.
func (p *Process) Until(t *testing.T, line string) []string {
	t.Helper()
	var lines []string
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		select {
		case got, ok := <-p.lines:
			require.True(t, ok, "the command has ended without %q: %q", line, lines)
			lines = append(lines, got)
			if got == line {
				return lines
			}
		case <-ctx.Done():
			require.FailNow(t, "no such line", "%q, but %q", line, lines)
		}
	}
}

// Wait waits for the end of the command, and returns its last lines and its exit code.
func (p *Process) Wait(t *testing.T) (lines []string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		select {
		case got, ok := <-p.lines:
			if !ok {
				return lines, p.code
			}
			lines = append(lines, got)
		case <-ctx.Done():
			require.FailNow(t, "the command does not end", "%q", lines)
		}
	}
}

// Next returns the next line of output.
func (p *Process) Next(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	select {
	case got, ok := <-p.lines:
		require.True(t, ok, "the command has ended")

		return got
	case <-ctx.Done():
		require.FailNow(t, "no more lines")
	}

	return ""
}
