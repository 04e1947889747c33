package lockcmd

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tenure"
	"tenure/internal/cli"
)

// A meter measures the lock for --metrics. A nil meter measures nothing.
type meter struct {
	held     prometheus.Gauge
	deadline prometheus.Gauge
	losses   *prometheus.CounterVec
	wait     prometheus.Histogram

	server *http.Server
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
	labels := prometheus.Labels{"name": l.names[0]}
	m := &meter{
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tenure_lock_held", Help: "Whether this process holds the lock.", ConstLabels: labels,
		}),
		deadline: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tenure_lock_deadline_timestamp_seconds", ConstLabels: labels,
			Help: "Time until which the lock is certainly held, as of the last answer of the server; 0 if it is not held.",
		}),
		losses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenure_lock_losses_total", Help: "Locks that were lost, by cause.", ConstLabels: labels,
		}, []string{"cause"}),
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tenure_lock_wait_seconds", Help: "Time from the first attempt to the grant.", ConstLabels: labels,
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 12), //nolint:mnd // 1 ms to 70 min
		}),
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.held, m.deadline, m.losses, m.wait)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	m.server = &http.Server{Handler: mux, ReadHeaderTimeout: scrapeLimit}
	go func() { _ = m.server.Serve(lis) }() // ends with close

	return m, nil
}

func (m *meter) acquired(waited time.Duration) {
	if m != nil {
		m.held.Set(1)
		m.wait.Observe(waited.Seconds())
	}
}

func (m *meter) renewed(deadline time.Time) {
	if m != nil {
		m.deadline.Set(float64(deadline.UnixMilli()) / 1000) //nolint:mnd // seconds
	}
}

func (m *meter) lost(cause error) {
	if m != nil {
		m.losses.WithLabelValues(causeLabel(cause)).Inc()
		m.released()
	}
}

func (m *meter) released() {
	if m != nil {
		m.held.Set(0)
		m.deadline.Set(0)
	}
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
