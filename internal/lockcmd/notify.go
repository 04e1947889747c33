package lockcmd

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"tenure/internal/clock"
	"tenure/internal/sdnotify"
)

// While lock waits, it asks the service manager every extendEvery to wait for READY for another extendBy. So a machine
// that stands by is not a failed start, whatever TimeoutStartSec is.
const (
	extendEvery = 20 * time.Second
	extendBy    = "EXTEND_TIMEOUT_USEC=60000000"
)

// A notifier tells the service manager, if NOTIFY_SOCKET names one, what lock does.
type notifier struct {
	to     *sdnotify.Notifier // nil: there is no service manager
	extend func()             // ends the extensions, and returns when they have ended
}

// newNotifier starts a notifier, which does nothing unless on is set. The caller must call close.
func newNotifier(on bool) *notifier {
	n := &notifier{extend: func() {}}
	if !on {
		return n
	}
	n.to = sdnotify.Start()
	waiting, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	n.extend = func() {
		cancel()
		<-ended
	}
	n.to.Send(extendBy)
	go func() { // ends with ready or close
		defer close(ended)
		for clock.Pause(waiting, clock.Go(), extendEvery) {
			n.to.Send(extendBy)
		}
	}()

	return n
}

// waiting says that lock waits for the lock.
func (n *notifier) waiting() { n.to.Send("STATUS=waiting for the lock") }

// ready says that lock holds the lock and starts COMMAND.
func (n *notifier) ready() {
	n.extend() // a later wait is not a start
	n.to.Send(daemon.SdNotifyReady + "\nSTATUS=holding the lock")
}

// stopping says that lock is about to end.
func (n *notifier) stopping() { n.to.Send(daemon.SdNotifyStopping + "\nSTATUS=stopping") }

// close ends the notifier.
func (n *notifier) close() {
	n.extend()
	n.to.Close()
}
