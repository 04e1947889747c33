package workerscmd

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tenure/internal/cli"
	"tenure/internal/clock"
)

// A stopper ends the wait for COMMANDs that have been told to stop: when --drain has passed since the worker was told
// to stop, or when a second signal interrupts this process.
type stopper struct {
	now  chan struct{} // closed when all COMMANDs must be killed
	why  error         // set before now is closed
	kill atomic.Bool   // a COMMAND was killed although it was only told to stop with the worker

	worker  context.Context // ends when the worker is told to stop
	stop    context.CancelFunc
	running sync.WaitGroup
}

// sameSignal is how long after the first signal another one counts as the same. Programs such as timeout(1) signal a
// process and then its process group.
const sameSignal = 250 * time.Millisecond

// begin starts to watch ctx, the end of which tells the worker to stop. The caller must call end.
func (s *stopper) begin(ctx context.Context, w *worker) {
	s.now, s.worker = make(chan struct{}), ctx
	var watched context.Context
	watched, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	if w.argv == nil { // a second signal ends the process
		return
	}
	interrupts := make(chan syscall.Signal, 1)
	release := cli.TakeInterrupts(ctx, interrupts)
	s.running.Go(func() { // ends with end
		defer release()
		select {
		case <-ctx.Done():
		case <-watched.Done():
			return
		}
		if s.why = reason(watched, w.clock, w.drain, interrupts); s.why != nil {
			close(s.now)
		}
	})
}

// reason returns the reason to kill COMMANDs when there is one, or nil when ctx has ended.
func reason(ctx context.Context, clk clock.Clock, drain time.Duration, interrupts <-chan syscall.Signal) error {
	began := clk.Now()
	timer := clk.NewTimer()
	defer timer.Stop()
	timer.Set(began, began.Add(drain))
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
			return fmt.Errorf("it did not end within %v", drain)
		case sig := <-interrupts:
			if clk.Now() >= began.Add(sameSignal) {
				return fmt.Errorf("a second signal was received: %w", &cli.Interrupt{Signal: sig})
			}
		}
	}
}

// end ends the watch.
func (s *stopper) end() {
	s.stop()
	s.running.Wait()
}

// stopping reports whether the worker was told to stop.
func (s *stopper) stopping() bool { return s.worker.Err() != nil }

// killed reports whether a COMMAND had to be killed when the worker was told to stop.
func (s *stopper) killed() bool { return s.kill.Load() }
