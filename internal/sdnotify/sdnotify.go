// Package sdnotify tells the service manager what this process does, as sd_notify(3) describes.
package sdnotify

import (
	"context"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"tenure/internal/clock"
)

// Variable is the environment variable that names the socket of the service manager.
const Variable = "NOTIFY_SOCKET"

// closeLimit is the time in which Close waits for messages that the service manager has not taken yet.
const closeLimit = 200 * time.Millisecond

// A Notifier sends messages in the order of the calls of Send. It never waits for the service manager, except in Close,
// and it ignores errors, as systemd asks for. It is safe for concurrent use. A nil Notifier does nothing.
type Notifier struct {
	done chan struct{} // closed when all messages are sent

	mu     sync.Mutex // guards the rest
	states chan string
	closed bool // states is closed
}

// Start starts a Notifier. The caller must call Close.
func Start() *Notifier {
	n := &Notifier{states: make(chan string, 16), done: make(chan struct{})}
	go func() { // ends with Close, or with the process if the service manager does not read
		defer close(n.done)
		for state := range n.states {
			_, _ = daemon.SdNotify(false, state)
		}
	}()

	return n
}

// Send sends a message, which is one or more assignments separated by newlines. It drops the message if the service
// manager has not taken earlier ones, and after Close.
func (n *Notifier) Send(state string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	select {
	case n.states <- state:
	default:
	}
}

// Close waits a moment until all messages are sent. Calling Close again is a no-op.
func (n *Notifier) Close() {
	if n == nil || !n.end() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // ends with this call
		<-n.done
		cancel()
	}()
	clock.Pause(ctx, clock.Go(), closeLimit)
}

// end accepts no more messages. It reports whether this is the first call.
func (n *Notifier) end() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.closed = true
	close(n.states)

	return true
}

// Watch sends WATCHDOG=1 four times in each interval in which the service manager expects it, while check returns nil.
// It calls report when the result of check changes between nil and an error. It returns when ctx ends.
func (n *Notifier) Watch(
	ctx context.Context, c clock.Clock, interval time.Duration, check func() error, report func(error),
) {
	const often = 4 // twice is what systemd asks for
	var last error
	for clock.Pause(ctx, c, interval/often) {
		err := check()
		if (err == nil) != (last == nil) {
			report(err)
		}
		last = err
		if err == nil {
			n.Send(daemon.SdNotifyWatchdog)
		}
	}
}
