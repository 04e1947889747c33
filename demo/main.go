// Command demo shows tenure at work: five processes share a lock and three share ten tasks on one server, while
// processes are stopped, killed and started again. It prints what each of them says and exits with 0 only if everything
// went as it should and nothing was held twice at once. It needs Go and the sources, and cleans up after itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"tenure/internal/clock"
)

// limit is for the whole story, which takes half a minute.
const limit = 2 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo builds the commands and plays the story with them.
func demo(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "tenure-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	fmt.Fprintln(out, "building tenure, lock and workers ...")
	build := exec.CommandContext(ctx, "go", "build", "-o", dir+"/", "tenure/cmd/...")
	build.Stdout, build.Stderr = out, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the commands: %w", err)
	}

	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not over after %v", limit))
	defer cancel()
	p := &play{
		stage: newStage(dir, out), data: dir + "/data", listen: "127.0.0.1:0", running: make(map[string]*process),
	}
	defer p.end()
	if err := p.run(ctx); err != nil {
		return err
	}
	locks := p.ledger.count(func(h hold) bool { return h.what == "lock" })
	runs := p.ledger.count(func(h hold) bool { return h.what != "lock" })
	p.narrate("the lock was taken %d times and a task %d times, nothing by two at once", locks, runs)

	return nil
}

// pause lets the audience look.
func (p *play) pause(ctx context.Context, d time.Duration) error {
	if !clock.Pause(ctx, p.clock, d) {
		return context.Cause(ctx)
	}

	return nil
}

// play is the story: its steps, and the processes that run.
type play struct {
	*stage
	data    string // of the server
	listen  string // its address, the same after a restart
	running map[string]*process
}

func (p *play) run(ctx context.Context) error {
	for _, act := range []func(context.Context) error{p.serve, p.shareLock, p.restartServer, p.shareTasks} {
		err := act(ctx)
		if a, b, ok := p.ledger.contested(); ok { // explains any other error
			return fmt.Errorf("%s was held by %s and by %s at once", a.what, a.who, b.who)
		}
		if err != nil {
			return err
		}
	}

	return nil
}

// begin starts a process and remembers it.
func (p *play) begin(name, command string, args ...string) (*process, error) {
	started, err := p.stage.run(name, command, args...)
	if err != nil {
		return nil, err
	}
	p.running[name] = started

	return started, nil
}

// end kills what still runs.
func (p *play) end() {
	for _, r := range p.running {
		r.kill()
	}
}

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// serve starts the server and waits until it is ready.
func (p *play) serve(ctx context.Context) error {
	s, err := p.begin("server", "tenure", "serve", "--listen", p.listen, "--data", p.data)
	if err != nil {
		return err
	}
	line, err := s.firstLine(ctx)
	if err != nil {
		return err
	}
	if p.listen = address.FindString(line); p.listen == "" {
		return fmt.Errorf("no address in the server's line %q", line)
	}

	return nil
}
