// Command demo shows tenure at work. Processes share a lock and a list of tasks, first on the embedded server and then
// over a network, while the demo stops, kills and restarts some of them. It prints what each process prints. It exits
// with 0 only if every step went as it should and no two processes held the same thing at the same time. It needs Go
// and the sources, and it cleans up after itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tenure/internal/clock"
	"tenure/internal/programs"
)

// limit bounds the whole demo, which takes less than a minute.
const limit = 3 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo builds the commands and plays the acts with them.
func demo(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "tenure-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	fmt.Fprintln(out, "building tenure, lock and workers ...")
	if err := programs.Build(ctx, dir, false, programs.Lock, programs.Tenure, programs.Workers); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not over after %v", limit))
	defer cancel()
	p := &play{stage: newStage(dir, out), dir: dir, listen: "127.0.0.1:0", running: make(map[string]*process)}
	defer p.end()
	if err := p.run(ctx); err != nil {
		return err
	}
	locks := p.ledger.count(func(h hold) bool { return h.what == "lock" })
	runs := p.ledger.count(func(h hold) bool { return h.what != "lock" })
	p.narrate("the lock was acquired %d times and a task was started %d times, never in two processes at the same time",
		locks, runs)

	return nil
}

// pause gives the reader time to look.
func (p *play) pause(ctx context.Context, d time.Duration) error {
	if !clock.Pause(ctx, p.clock, d) {
		return context.Cause(ctx)
	}

	return nil
}

// A play is the demo's acts, and the processes that are running.
type play struct {
	*stage
	dir     string // for the state of both servers
	listen  string // the address of tenure serve, the same after a restart
	running map[string]*process
}

func (p *play) run(ctx context.Context) error {
	for _, act := range []func(context.Context) error{p.shareLock, p.shareTasks, p.useNetwork} {
		err := act(ctx)
		if a, b, ok := p.ledger.contested(); ok { // explains any other error
			return fmt.Errorf("%s was held by %s and by %s at the same time", a.what, a.who, b.who)
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

// end kills the processes that are still running.
func (p *play) end() {
	for _, r := range p.running {
		r.kill()
	}
}
