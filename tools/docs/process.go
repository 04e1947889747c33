package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// A sharedWriter is for the output of several commands at the same time.
type sharedWriter struct {
	mu sync.Mutex // guards to
	to io.Writer
}

func (w *sharedWriter) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.to.Write(text)
}

// A process is a running command. What it prints is shown on the stage and kept.
type process struct {
	cmd   *exec.Cmd
	first chan struct{} // closed when it has printed something
	ended chan struct{} // closed when it has ended; err is set before
	err   error

	mu     sync.Mutex // guards what follows
	show   io.Writer
	output bytes.Buffer
}

// start starts a command.
func (s *stage) start(ctx context.Context, dir string, env []string, name string, args ...string) (*process, error) {
	cmd := s.command(ctx, dir, name, args...)
	cmd.Env = env

	return s.startCommand(cmd)
}

// startCommand starts a command that has its environment. Its goroutine ends when the command does.
func (s *stage) startCommand(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, first: make(chan struct{}), ended: make(chan struct{}), show: s.out}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()

	return p, nil
}

// Write takes what the command prints.
func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.output.Len() == 0 && len(text) > 0 {
		close(p.first)
	}
	p.output.Write(text)

	return p.show.Write(text)
}

func (p *process) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.output.String()
}

// firstLine waits until the command has printed something.
func (p *process) firstLine(ctx context.Context) error {
	select {
	case <-p.first:
		return nil
	case <-p.ended:
		if p.printed() != "" {
			return nil
		}

		return fmt.Errorf("%v ended without printing anything: %v", p.cmd.Args, p.err)
	case <-ctx.Done():
		return fmt.Errorf("%v has printed nothing: %w", p.cmd.Args, context.Cause(ctx))
	}
}

// stop sends a signal, waits for the end, and returns the exit code.
func (p *process) stop(sig os.Signal) (code int, err error) {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}

	return p.wait()
}

// wait waits for the end and returns the exit code.
func (p *process) wait() (code int, err error) {
	<-p.ended
	if _, ok := errors.AsType[*exec.ExitError](p.err); p.err != nil && !ok {
		return 0, p.err
	}

	return p.cmd.ProcessState.ExitCode(), nil
}

func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}

	return err
}
