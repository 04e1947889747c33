package lockcmd

import (
	"context"
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
	states chan string // nil: there is no service manager
	stop   context.CancelFunc
	extend context.CancelFunc // ends the extensions
}

// newNotifier starts a notifier, which does nothing unless on is set. The caller must call close.
func newNotifier(on bool) *notifier {
	n := &notifier{stop: func() {}, extend: func() {}}
	if !on {
		return n
	}
	ctx, stop := context.WithCancel(context.Background())
	waiting, extend := context.WithCancel(ctx)
	n.stop, n.extend = stop, extend
	n.states = make(chan string, 16)
	go func() { // ends with close, or with the process if the service manager does not read
		for {
			select {
			case state := <-n.states:
				_, _ = daemon.SdNotify(false, state)
			case <-ctx.Done():
				return
			}
		}
	}()
	n.send(extendBy)
	go func() { // ends with ready or close
		for clock.Pause(waiting, clock.Go(), extendEvery) {
			n.send(extendBy)
		}
	}()

	return n
}

// waiting says that lock waits for the lock.
func (n *notifier) waiting() { n.send("STATUS=waiting for the lock") }

// ready says that lock holds the lock and starts COMMAND.
func (n *notifier) ready() {
	n.extend() // a later wait is not a start
	n.send(daemon.SdNotifyReady + "\nSTATUS=holding the lock")
}

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
func (n *notifier) close() { n.stop() }
