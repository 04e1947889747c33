package workerscmd

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"tenure/internal/cli"
	"tenure/internal/metrics"
)

// A meter counts for --metrics. Its methods are safe for concurrent use.
type meter struct {
	once   bool // --once
	state  *state
	server *metrics.Server

	mu         sync.Mutex // guards the rest
	session    bool
	unassigned int
	workers    int
	stuck      map[string]struct{}
	starts     uint64
	failures   uint64
	refusals   uint64
	moves      uint64
	adopted    uint64
	losses     map[string]uint64
}

func newMeter(once bool, state *state) *meter {
	return &meter{once: once, state: state, stuck: make(map[string]struct{}), losses: make(map[string]uint64)}
}

// serve serves the metrics at the address of --metrics, if it is given. The caller must call close.
func (w *worker) serveMetrics() (err error) {
	if w.metrics == "" {
		return nil
	}
	if w.meter.server, err = metrics.Serve(w.metrics, w.meter.exposition); err != nil {
		return fmt.Errorf("%s=%q: %w", cli.Setting(w.cmd, "metrics"), w.metrics, err)
	}

	return nil
}

// change changes the counters.
func (m *meter) change(change func(m *meter)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

// exposition returns the metrics as text, ordered by name.
func (m *meter) exposition() []byte {
	tasks, weight := m.state.load()
	p := m.state.progress()
	m.mu.Lock()
	defer m.mu.Unlock()
	var t metrics.Text
	gauge := func(name, help string, n int) { t.Gauge("tenure_workers_"+name, help, float64(n)) }
	counter := func(name, help string, n uint64) { t.Counter("tenure_workers_"+name+"_total", help, n) }
	t.Family("tenure_tasks", "gauge", "Tasks by state: running and stuck ones of this process, the others of the pool.")
	count := func(state string, n int) { t.Sample(float64(n), metrics.Label{Name: "state", Value: state}) }
	if m.once {
		count("done", p.Done)
		count("failed", p.Failed)
	}
	count("listed", m.state.total())
	count("running", tasks)
	count("stuck", len(m.stuck))
	count("unassigned", m.unassigned)
	counter("adopted_tasks", "Tasks that this process took because the worker that they belong to did not.", m.adopted)
	gauge("capacity", "Sum of the weights of the tasks that this process takes.", m.state.capacity)
	counter("failures", "Runs of tasks in this process that have failed.", m.failures)
	gauge("load", "Sum of the weights of the tasks that this process runs.", weight)
	if len(m.losses) > 0 {
		t.Family("tenure_workers_losses_total", "counter", "Sessions of this process that were lost, by cause.")
		for _, cause := range slices.Sorted(maps.Keys(m.losses)) {
			t.Sample(float64(m.losses[cause]), metrics.Label{Name: "cause", Value: cause})
		}
	}
	gauge("members", "Workers in the pool.", m.workers)
	counter("moves", "Tasks that this process gave back because they belong to another worker.", m.moves)
	counter("refusals", "Acquires of tasks that the server has refused.", m.refusals)
	session := 0
	if m.session {
		session = 1
	}
	gauge("session", "Whether this process has a session.", session)
	counter("starts", "Tasks that this process has started.", m.starts)

	return t.Bytes()
}
