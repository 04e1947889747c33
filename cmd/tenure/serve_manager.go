package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/sdnotify"
)

// stopMargin is added to the time that a server may need to stop, when the service manager is told.
const stopMargin = 10 * time.Second

// A manager tells the service manager what the server does. A nil manager does nothing.
type manager struct {
	to       *sdnotify.Notifier
	watching sync.WaitGroup
	stop     context.CancelFunc // ends the watchdog; nil: no watchdog
}

// newManager returns a manager if the environment names a service manager. The caller must call close.
func newManager(env *cli.Env) *manager {
	if _, ok := env.LookupEnv(sdnotify.Variable); !ok {
		return nil
	}

	return &manager{to: sdnotify.Start()}
}

// serving says that the server is ready. If the service manager expects it, serving also starts the watchdog: from then
// on, the service manager hears regularly from the server while no node is stuck.
func (m *manager) serving(ctx context.Context, p *plan, live func() error, where string) {
	if m == nil {
		return
	}
	m.to.Send(daemon.SdNotifyReady + "\nSTATUS=serving " + where)
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx) // a server that stops may take a while, and must not get stuck either
	ctx, m.stop = context.WithCancel(ctx)
	m.watching.Go(func() {
		m.to.Watch(ctx, clock.System(), interval, live, func(err error) {
			if err != nil {
				p.log.ErrorContext(ctx, "not live: the service manager will restart the server", "error", err)

				return
			}
			p.log.InfoContext(ctx, "live again")
		})
	})
}

// reloading says that the server reads its configuration again, until ready is called.
func (m *manager) reloading() {
	if m != nil {
		m.to.Send(strings.TrimSuffix(daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec(), "\n"))
	}
}

func (m *manager) ready() {
	if m != nil {
		m.to.Send(daemon.SdNotifyReady)
	}
}

// stopping says that the server stops, and how long that may take.
func (m *manager) stopping(drain time.Duration) {
	if m != nil {
		limit := drain + stopLimit + stopMargin
		m.to.Send(fmt.Sprintf("%s\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=%d", daemon.SdNotifyStopping, limit.Microseconds()))
	}
}

// close ends the watchdog and what else the manager has started.
func (m *manager) close() {
	if m == nil {
		return
	}
	if m.stop != nil {
		m.stop()
	}
	m.watching.Wait()
	m.to.Close()
}
