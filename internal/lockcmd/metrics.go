package lockcmd

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"tenure/internal/cli"
	"tenure/internal/metrics"
)

// A meter measures the lock for --metrics. A nil meter measures nothing.
type meter struct {
	names  []string // of the locks, which are held together, in order and without duplicates
	server *metrics.Server

	mu       sync.Mutex // guards the rest
	held     bool
	deadline time.Time // zero: the lock is not held
	losses   map[string]uint64
	wait     metrics.Histogram
}

// newMeter serves the metrics at the address of --metrics, if it is given. The caller must call close.
func (l *locker) newMeter() (*meter, error) {
	if l.metrics == "" {
		return nil, nil
	}
	m := &meter{names: slices.Compact(slices.Sorted(slices.Values(l.names))), losses: make(map[string]uint64)}
	var err error
	if m.server, err = metrics.Serve(l.metrics, m.exposition); err != nil {
		return nil, fmt.Errorf("%s=%q: %w", cli.Setting(l.cmd, "metrics"), l.metrics, err)
	}

	return m, nil
}

// exposition returns the metrics as text, ordered by name.
func (m *meter) exposition() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	deadline, held := 0.0, 0.0
	if !m.deadline.IsZero() {
		deadline = float64(m.deadline.UnixMilli()) / 1000 //nolint:mnd // seconds
	}
	if m.held {
		held = 1
	}
	var text metrics.Text
	each := func(sample func(name metrics.Label)) {
		for _, name := range m.names {
			sample(metrics.Label{Name: "semaphore", Value: name})
		}
	}
	text.Family("tenure_lock_acquire_seconds", "histogram", "Time from the first attempt to the grant.")
	each(func(name metrics.Label) { text.Samples(&m.wait, name) })
	text.Family("tenure_lock_deadline_seconds", "gauge",
		"Time until which the lock is certainly held, as a Unix time; 0 if it is not held.")
	each(func(name metrics.Label) { text.Sample(deadline, name) })
	text.Family("tenure_lock_held", "gauge", "Whether this process holds the lock.")
	each(func(name metrics.Label) { text.Sample(held, name) })
	if len(m.losses) > 0 {
		text.Family("tenure_lock_losses_total", "counter", "Locks that were lost, by cause.")
		each(func(name metrics.Label) {
			for _, cause := range slices.Sorted(maps.Keys(m.losses)) {
				text.Sample(float64(m.losses[cause]), metrics.Label{Name: "cause", Value: cause}, name)
			}
		})
	}

	return text.Bytes()
}

func (m *meter) acquired(waited time.Duration) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = true
	m.wait.Observe(waited)
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
	m.losses[cli.LossCause(cause)]++
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
		m.server.Close()
	}
}
