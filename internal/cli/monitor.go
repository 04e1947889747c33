package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tenure"
	"tenure/internal/clock"
)

const (
	// moment is how long a wait for a lease may take before the user hears of it.
	moment = time.Second

	// patience is how long the first connection may take before the user hears of it.
	patience = 3 * time.Second
)

// A Monitor keeps a command from waiting in silence: it tells the user why the command has no session, and what a
// session waits for. Only Notice is safe for concurrent use with the other methods. After Close, no goroutine of the
// monitor is left.
type Monitor struct {
	clock clock.Clock
	say   func(line string)

	cancel  context.CancelFunc // ends waiting
	waiting sync.WaitGroup
	open    bool   // there is a session
	refused string // the last reason that an open session failed for, until Granted

	mu      sync.Mutex // guards noticed
	noticed bool       // Notice has been called since the last session was opened
}

func newMonitor(clk clock.Clock, say func(line string)) *Monitor {
	return &Monitor{clock: clk, say: say, cancel: func() {}}
}

// Connecting says that the command waits for a connection to the host, and gives up after the limit. If that takes
// long, the monitor prints a line, unless the command gives up by then: its error says the same and more.
func (m *Monitor) Connecting(host string, limit time.Duration) {
	if limit > patience {
		m.after(patience, fmt.Sprintf("no answer from %s yet: giving up after %v", host, limit))
	}
}

// Opened says that there is a session, and that it asks for leases. If it waits longer than a moment for the first one,
// the monitor prints the line, unless that is empty.
func (m *Monitor) Opened(line string) {
	m.open = true
	m.mu.Lock()
	m.noticed = false
	m.mu.Unlock()
	m.Close()
	if line != "" {
		m.after(moment, line)
	}
}

// Granted says that the session got a lease.
func (m *Monitor) Granted() {
	m.Close()
	m.refused = ""
}

// Failed says that the session has ended, or that an attempt to open one has failed, and that the command tries again.
// Why is nil if the user knows the reason. The monitor prints the reason if a session was open: the server works then,
// so that the reason is certain. Otherwise, and if the session has ended, NoSession gives the reason.
func (m *Monitor) Failed(why error) {
	m.Close()
	if errors.Is(why, tenure.ErrSessionClosed) { // a call that the end of the session has ended
		why = nil
	}
	if m.open && why != nil && why.Error() != m.refused {
		m.refused = why.Error()
		m.say(m.refused + ": trying again")
	}
	m.open = false
}

// NoSession says that the command has been without a session for some time, and why. The monitor prints that unless
// Notice has told the user about it.
func (m *Monitor) NoSession(without time.Duration, why error) {
	m.mu.Lock()
	noticed := m.noticed
	m.mu.Unlock()
	if !noticed {
		m.say(fmt.Sprintf("no session for %s, still trying: %v", Elapsed(without), why))
	}
}

// Notice prints a line of the embedded server about the process that hosts it.
func (m *Monitor) Notice(line string) {
	m.mu.Lock()
	m.noticed = true
	m.mu.Unlock()
	m.say(line)
}

// Close says that the command waits for nothing.
func (m *Monitor) Close() {
	m.cancel()
	m.waiting.Wait()
}

// after prints the line after d, unless another method is called before.
func (m *Monitor) after(d time.Duration, line string) {
	m.Close()
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.waiting.Go(func() { // ends with Close
		if clock.Pause(ctx, m.clock, d) {
			m.say(line)
		}
	})
}
