package lockcmd

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"tenure"
	"tenure/internal/cli"
)

// A meter measures the lock for --metrics. A nil meter measures nothing.
type meter struct {
	name   string // of the lock
	server *http.Server

	mu       sync.Mutex // guards the rest
	held     bool
	deadline time.Time // zero: the lock is not held
	losses   map[string]uint64
	wait     histogram
}

// scrapeLimit is the time limit for reading the request of a scraper.
const scrapeLimit = 10 * time.Second

// newMeter listens on the address of --metrics, if it is given, and serves the metrics there. The caller must call
// close.
func (l *locker) newMeter() (*meter, error) {
	if l.metrics == "" {
		return nil, nil
	}
	lis, err := net.Listen("tcp", l.metrics)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err
		}

		return nil, fmt.Errorf("%s=%q: cannot listen on this address: %w", cli.Setting(l.cmd, "metrics"), l.metrics, err)
	}
	m := &meter{name: l.names[0], losses: make(map[string]uint64)}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m)
	m.server = &http.Server{Handler: mux, ReadHeaderTimeout: scrapeLimit}
	go func() { _ = m.server.Serve(lis) }() // ends with close

	return m, nil
}

// ServeHTTP answers with the metrics.
func (m *meter) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", expositionType)
	_, _ = w.Write(m.exposition()) // the scraper may have gone
}

// exposition returns the metrics as text, ordered by name.
func (m *meter) exposition() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	var e exposition
	name := label{"name", m.name}
	e.family("tenure_lock_deadline_timestamp_seconds", "gauge",
		"Time until which the lock is certainly held, as of the last answer of the server; 0 if it is not held.")
	deadline := 0.0
	if !m.deadline.IsZero() {
		deadline = float64(m.deadline.UnixMilli()) / 1000 //nolint:mnd // seconds
	}
	e.sample("", deadline, name)
	e.family("tenure_lock_held", "gauge", "Whether this process holds the lock.")
	held := 0.0
	if m.held {
		held = 1
	}
	e.sample("", held, name)
	if len(m.losses) > 0 {
		e.family("tenure_lock_losses_total", "counter", "Locks that were lost, by cause.")
		for _, cause := range slices.Sorted(maps.Keys(m.losses)) {
			e.sample("", float64(m.losses[cause]), label{"cause", cause}, name)
		}
	}
	e.family("tenure_lock_wait_seconds", "histogram", "Time from the first attempt to the grant.")
	e.histogram(&m.wait, name)

	return e.text
}

func (m *meter) acquired(waited time.Duration) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = true
	m.wait.observe(waited)
}

func (m *meter) renewed(deadline time.Time) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deadline = deadline
}

func (m *meter) lost(cause error) {
	if m == nil {
		return
	}
	m.released()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.losses[causeLabel(cause)]++
}

func (m *meter) released() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held, m.deadline = false, time.Time{}
}

func (m *meter) close() {
	if m != nil {
		_ = m.server.Close()
	}
}

// causeLabel returns the value of the label cause.
func causeLabel(cause error) string {
	switch {
	case errors.Is(cause, tenure.ErrSemaphoreDeleted):
		return "deleted"
	case errors.Is(cause, tenure.ErrSessionExpired):
		return "expired"
	}

	return "no_answer"
}
