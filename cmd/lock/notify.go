package main

import (
	"context"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"tenure/internal/clock"
)

// While lock waits, it asks the service manager every extendEvery to wait for READY for another extendBy. So a machine
// that stands by is not a failed start, whatever TimeoutStartSec is.
const (
	extendEvery = 20 * time.Second
	extendBy    = "EXTEND_TIMEOUT_USEC=60000000"
)

// A notifier tells the service manager, if NOTIFY_SOCKET names one, what lock does. The methods never wait for the
// service manager, and ignore errors, as systemd asks for.
type notifier struct {
	states  chan string // nil: there is no service manager
	stop    context.CancelFunc
	running sync.WaitGroup
}

// newNotifier starts a notifier if on is set. The caller must call close.
func newNotifier(on bool) *notifier {
	n := &notifier{stop: func() {}}
	if !on {
		return n
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.states = make(chan string, 16)
	n.running.Go(func() {
		for {
			select {
			case state := <-n.states:
				_, _ = daemon.SdNotify(false, state)
			case <-ctx.Done():
				return
			}
		}
	})
	n.running.Go(func() {
		for clock.Pause(ctx, clock.Go(), extendEvery) {
			n.send(extendBy)
		}
	})

	return n
}

// waiting says that lock waits for the lock.
func (n *notifier) waiting() { n.send("STATUS=waiting for the lock\n" + extendBy) }

// ready says that lock holds the lock and starts COMMAND.
func (n *notifier) ready() { n.send(daemon.SdNotifyReady + "\nSTATUS=holding the lock") }

// stopping says that lock is about to end.
func (n *notifier) stopping() { n.send(daemon.SdNotifyStopping + "\nSTATUS=stopping") }

func (n *notifier) send(state string) {
	if n.states == nil {
		return
	}
	select {
	case n.states <- state:
	default: // the service manager does not read
	}
}

// close ends the notifier.
func (n *notifier) close() {
	n.stop()
	if n.states != nil {
		n.running.Wait()
	}
}
