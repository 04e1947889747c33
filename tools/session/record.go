package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"tenure/internal/programs"
)

// limit bounds a recording, which takes less than ten seconds, without the build.
const limit = time.Minute

// record runs the scenes and returns what the reader sees.
func record(ctx context.Context) (text []byte, err error) {
	dir, err := os.MkdirTemp("", "tenure-session-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		return nil, err
	}
	if err := programs.Build(ctx, bin, false, programs.Lock, programs.Tenure, programs.Workers); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not over after %v", limit))
	defer cancel()
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	r := &recorder{dir: dir, env: []string{
		"HOME=" + home, "USER=alice", "LANG=C.UTF-8", "PATH=" + bin + ":" + os.Getenv("PATH"),
	}}
	defer r.end()
	if err := r.play(ctx); err != nil {
		return nil, fmt.Errorf("%w; so far:\n%s", err, r.out.String())
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}

	return r.normal(host), nil
}

// A recorder has terminals, and a text that says what happens on them. A line is in the text in the order in which the
// play waits for it, so that two recordings agree.
type recorder struct {
	dir       string
	env       []string
	out       bytes.Buffer
	terminals []*terminal
}

// A terminal runs one command.
type terminal struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{} // closed when the command has ended

	mu    sync.Mutex    // guards lines
	lines []string      // printed, and not taken yet
	more  chan struct{} // holds an element if there are new lines
}

func (r *recorder) say(format string, args ...any) {
	r.out.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

// start types a command in a terminal of its own.
func (r *recorder) start(ctx context.Context, name, line string) (*terminal, error) {
	t := &terminal{name: name, ended: make(chan struct{}), more: make(chan struct{}, 1)}
	t.cmd = exec.CommandContext(ctx, "bash", "-c", "exec "+line)
	t.cmd.Env, t.cmd.Dir = r.env, r.dir
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.cmd.Stderr = t.cmd.Stdout
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	r.terminals = append(r.terminals, t)
	r.say("%s$ %s", name, line)
	go func() { // ends with the command
		defer close(t.ended)
		t.read(out)
		_ = t.cmd.Wait()
	}()

	return t, nil
}

func (t *terminal) read(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		t.mu.Lock()
		t.lines = append(t.lines, lines.Text())
		t.mu.Unlock()
		select {
		case t.more <- struct{}{}:
		default:
		}
	}
}

// await shows the lines of a terminal up to one that contains the text.
func (r *recorder) await(ctx context.Context, t *terminal, text string) error {
	for {
		t.mu.Lock()
		i := slices.IndexFunc(t.lines, func(line string) bool { return strings.Contains(line, text) })
		for _, line := range t.lines[:i+1] {
			r.say("%s  %s", t.name, line)
		}
		t.lines = t.lines[i+1:]
		t.mu.Unlock()
		if i >= 0 {
			return nil
		}
		select {
		case <-t.more:
		case <-t.ended:
			if text == "" {
				return nil
			}

			return fmt.Errorf("terminal %s ended without printing %q", t.name, text)
		case <-ctx.Done():
			return fmt.Errorf("terminal %s has not printed %q: %w", t.name, text, context.Cause(ctx))
		}
	}
}

// finish waits for the end of a command, shows the rest of its lines, and its exit code unless that is 0.
func (r *recorder) finish(t *terminal) {
	<-t.ended
	for _, line := range t.lines {
		r.say("%s  %s", t.name, line)
	}
	t.lines = nil
	if code := t.cmd.ProcessState.ExitCode(); code > 0 {
		r.say("%s  (exit code %d)", t.name, code)
	}
}

// signal sends a signal to the command of a terminal.
func (r *recorder) signal(t *terminal, sig syscall.Signal, how string) error {
	r.say("%s  %s", t.name, how)

	return t.cmd.Process.Signal(sig)
}

// end kills the commands that are still running.
func (r *recorder) end() {
	for _, t := range r.terminals {
		_ = t.cmd.Process.Kill()
		<-t.ended
	}
}
