// Package servermetrics shows the numbers of a server as metrics of Prometheus. Only tenure serve links it.
package servermetrics

import (
	"context"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"

	"tenure/internal/node"
	"tenure/internal/serverconfig"
	"tenure/internal/serverstats"
)

// scrapeLimit is the time in which nodes show their numbers.
const scrapeLimit = 2 * time.Second

// collector gets the numbers of a server when somebody asks for the metrics.
type collector struct {
	admin      *serverconfig.Admin
	semaphores string // pattern of semaphores with metrics of their own; empty: none
	version    string
}

// New returns a collector for the server. If semaphores is not empty, semaphores that match it, at most 1,000, have
// metrics of their own.
func New(admin *serverconfig.Admin, semaphores, version string) prometheus.Collector {
	return &collector{admin, semaphores, version}
}

// Describe implements prometheus.Collector. It describes nothing, because the labels of nodes come and go.
func (*collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	s := c.admin.Stats(ctx)
	e := emitter{out}
	e.gauge(buildInfo, 1, c.version, runtime.Version())
	e.gauge(ready, boolean(s.Ready))
	e.gauge(grantsIn, s.GrantsIn.Seconds())
	e.gauge(streams, float64(s.Streams))
	e.counters(limits, s.Limits)
	e.counters(authFailures, s.Denials)
	e.counters(streamEnds, s.StreamEnds)
	e.counter(auditDropped, s.AuditDropped)
	e.counter(commitFailures, uint64(boolean(s.Failed)))
	requests := s.Calls // of unary calls, and of all nodes together
	var batches serverstats.Histogram
	for i := range s.Nodes {
		n := &s.Nodes[i]
		e.node(n)
		batches.Add(&n.CommitRequests)
		for m := range n.Requests {
			for status, number := range n.Requests[m] {
				if number > 0 {
					name := Ydb.StatusIds_StatusCode_name[int32(node.Success)+10*int32(status)]
					requests[serverstats.Call{Method: serverstats.MethodNames[m], Status: name}] += number
				}
			}
		}
	}
	for call, n := range requests {
		e.counter(requestsTotal, n, call.Method, call.Status)
	}
	e.histogram(commitRequests, &batches)
	if s.Cluster != nil {
		e.cluster(s.Cluster, s.Nodes)
	}
	if c.semaphores != "" {
		e.semaphores(ctx, c)
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}

	return 0
}

// emitter passes metrics on.
type emitter struct{ out chan<- prometheus.Metric }

func (e emitter) gauge(d *prometheus.Desc, v float64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (e emitter) counter(d *prometheus.Desc, v uint64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (e emitter) counters(d *prometheus.Desc, all map[string]uint64) {
	for label, n := range all {
		e.counter(d, n, label)
	}
}

func (e emitter) histogram(d *prometheus.Desc, h *serverstats.Histogram, labels ...string) {
	e.out <- &histogram{desc: d, h: h, labels: labels}
}

// ends are the labels of the ends of grants, by cause.
var ends = map[node.Cause]string{
	node.ByRelease: "released", node.ByStop: "stopped", node.ByExpiry: "expired", node.ByLifeline: "lifeline",
	node.ByOperator: "operator", node.ByDelete: "deleted",
}

func (e emitter) node(n *serverstats.Node) {
	e.gauge(sessions, float64(n.Sizes.Attached), n.Path, "attached")
	e.gauge(sessions, float64(n.Sizes.Sessions-n.Sizes.Attached), n.Path, "detached")
	e.gauge(semaphores, float64(n.Sizes.Semaphores), n.Path)
	e.gauge(owners, float64(n.Sizes.Owners), n.Path)
	e.gauge(waiters, float64(n.Sizes.Waiters), n.Path)
	e.gauge(longestWait, n.Wait.Seconds(), n.Path)
	e.gauge(longestHold, n.Hold.Seconds(), n.Path)
	e.gauge(longestDetached, n.Detached.Seconds(), n.Path)
	e.gauge(inbox, float64(n.Inbox), n.Path)
	e.gauge(load, n.Load.Seconds(), n.Path)
	for result, number := range map[string]uint64{
		"granted": n.Granted, "timeout": n.TimedOut, "not_now": n.NotNow, "superseded": n.Superseded, "refused": n.Refused,
	} {
		e.counter(acquires, number, n.Path, result)
	}
	for cause, reason := range ends {
		e.counter(grantEnds, n.Ends[cause], n.Path, reason)
	}
	e.histogram(acquireWait, &n.Waits, n.Path)
	e.histogram(hold, &n.Holds, n.Path)
	e.histogram(commit, &n.Commits, n.Path)
}

// semaphores emits the metrics of single semaphores. Names are valid UTF-8 after quoting.
func (e emitter) semaphores(ctx context.Context, c *collector) {
	all, err := c.admin.Semaphores(ctx, c.semaphores)
	if err != nil {
		return // the nodes are waiting for the disk, which other metrics show
	}
	for path, list := range all {
		for _, s := range list {
			name := s.Name
			if !validLabel(name) {
				name = strconv.QuoteToASCII(name)
			}
			e.gauge(semaphoreOwners, float64(s.Owners), path, name)
			e.gauge(semaphoreWaiters, float64(s.Waiters), path, name)
			e.gauge(semaphoreWait, s.Wait.Seconds(), path, name)
			e.gauge(semaphoreHold, s.Hold.Seconds(), path, name)
		}
	}
}
