package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"

	"tenure/internal/clock"
)

// A stage is where the processes run. It prints their lines with their names, and notes in the ledger what the lines
// say about locks and tasks.
type stage struct {
	bin    string // directory of the commands
	clock  clock.Clock
	start  clock.Instant
	ledger *ledger

	mu  sync.Mutex // guards out
	out io.Writer
}

func newStage(bin string, out io.Writer) *stage {
	c := clock.System()

	return &stage{bin: bin, clock: c, start: c.Now(), ledger: newLedger(), out: out}
}

// say prints a line of a process. The lines of the narrator have no name.
func (s *stage) say(at clock.Instant, who, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if who == "" {
		fmt.Fprintf(s.out, "\n%6.2f s  %s\n", at.Sub(s.start).Seconds(), line)
	} else {
		fmt.Fprintf(s.out, "%6.2f s  %-10s %s\n", at.Sub(s.start).Seconds(), who, line)
	}
}

func (s *stage) narrate(format string, args ...any) {
	s.say(s.clock.Now(), "", fmt.Sprintf(format, args...))
}

// A process is a running command.
type process struct {
	name  string
	cmd   *exec.Cmd
	ready chan string   // carries its first line
	ended chan struct{} // closed when the process has ended and its output has been read; err is set before
	err   error
}

// environment is the demo's own, without the variables that would change what the commands do.
func (s *stage) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TENURE_") })

	return append(env, "TENURE_CONFIG=/dev/null")
}

// run starts a command. A goroutine reads what the command prints, and ends when the command does.
func (s *stage) run(name, command string, args ...string) (*process, error) {
	p := &process{
		name: name, cmd: exec.Command(s.bin+"/"+command, args...),
		ready: make(chan string, 1), ended: make(chan struct{}),
	}
	p.cmd.Env = s.environment()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = p.cmd.Stdout // one pipe for both
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %q: %w", command, err)
	}
	go func() {
		defer close(p.ended)
		s.read(p, out)
		p.err = p.cmd.Wait()
		s.ledger.end(s.clock.Now(), func(h hold) bool { return h.who == p.name })
	}()

	return p, nil
}

func (s *stage) read(p *process, out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		at, line := s.clock.Now(), lines.Text()
		s.note(p.name, line, at)
		if strings.HasSuffix(line, "in progress") && strings.HasPrefix(line, "worker ") {
			continue // ten tasks that print this every second hide what changes
		}
		s.say(at, p.name, line)
		select {
		case p.ready <- line:
		default:
		}
	}
}

// note tells the ledger what a line says. A process holds the lock between "starting work" and "suspending work", and a
// task between its "starting" and its "done".
func (s *stage) note(who, line string, at clock.Instant) {
	ends := func(what string) {
		s.ledger.end(at, func(h hold) bool { return h.who == who && h.what == what })
	}
	switch task, state, ok := strings.Cut(strings.TrimPrefix(line, "worker "), ": "); {
	case line == "starting work":
		s.ledger.begin("lock", who, at)
	case line == "suspending work":
		ends("lock")
	case ok && state == "starting":
		s.ledger.begin(task, who, at)
	case ok && state == "done":
		ends(task)
	}
}

// stop asks the process to shut down and waits until it has ended. Its exit code must be 0.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("stop %s: %w", p.name, p.err)
	}

	return nil
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the process with SIGKILL.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.ended
}

// firstLine waits for the first line of a process, which says that it is ready.
func (p *process) firstLine(ctx context.Context) (string, error) {
	select {
	case line := <-p.ready:
		return line, nil
	case <-p.ended:
		return "", fmt.Errorf("%s ended before it was ready: %v", p.name, p.err)
	case <-ctx.Done():
		return "", fmt.Errorf("await %s: %w", p.name, context.Cause(ctx))
	}
}
