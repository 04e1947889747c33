package servermetrics_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"tenure/internal/node"
	"tenure/internal/serverconfig"
	"tenure/internal/servermetrics"
	"tenure/internal/serverstats"
)

// deploy is the directory with the files for Prometheus and Grafana.
const deploy = "../../deploy/"

// gather returns the metrics of a server with one node that has done a little of everything.
func gather(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	n := serverstats.Node{
		Path: "/local/x", Sizes: node.Sizes{Sessions: 3, Attached: 2, Owners: 1, Waiters: 1}, Wait: time.Second,
	}
	for _, v := range []float64{0.0005, 0.002, 3, 3, 1e6} {
		n.Waits.Observe(v)
	}
	n.Answer(node.Released{Result: node.Result{Status: node.NotFound}})
	n.Event(&node.Event{Kind: node.Ended, Cause: node.ByExpiry, Took: time.Second})
	admin := &serverconfig.Admin{
		Stats: func(context.Context) *serverstats.Server {
			return &serverstats.Server{
				Ready: true, Limits: map[string]uint64{"streams": 1}, Denials: map[string]uint64{"unknown": 2},
				StreamEnds: map[string]uint64{"client": 3},
				Calls:      map[serverstats.Call]uint64{{Method: "Login", Status: "SUCCESS"}: 1},
				Nodes:      []serverstats.Node{n}, Cluster: cluster(),
			}
		},
		Semaphores: func(context.Context, string) (map[string][]serverstats.Semaphore, error) {
			return map[string][]serverstats.Semaphore{"/local/x": {{Name: "bad\xff", Waiters: 1}}}, nil
		},
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(servermetrics.New(admin, "*", "v1"))
	families, err := registry.Gather()
	require.NoError(t, err)

	return families
}

// cluster returns the numbers of one of several servers.
func cluster() *serverstats.Cluster {
	c := &serverstats.Cluster{
		Servers: 3, Registered: true, OwnerChanges: map[string]uint64{"claimed": 1},
		Common: serverstats.Common{Registrations: 1, Compactions: map[string]uint64{"ok": 2}},
	}
	c.Observe(serverstats.Operation{Op: "commit", Result: "ok"}, 0.01)

	return c
}

// The names, types and labels of metrics are stable: dashboards and alerts use them.
func TestCollector_Names(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	for _, f := range gather(t) {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		fmt.Fprintf(&got, "%s %s {%s}\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ","))
	}
	want, err := os.ReadFile("testdata/names.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}

// A histogram has classic and native buckets of the same values.
func TestCollector_Histogram(t *testing.T) {
	t.Parallel()
	families := gather(t)
	i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "tenure_acquire_wait_seconds" })
	h := families[i].GetMetric()[0].GetHistogram()
	require.EqualValues(t, 5, h.GetSampleCount())
	classic := map[float64]uint64{}
	for _, b := range h.GetBucket() {
		classic[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	require.EqualValues(t, 1, classic[0.001])
	require.EqualValues(t, 2, classic[0.004])
	require.EqualValues(t, 4, classic[4.096])
	require.EqualValues(t, 4, classic[4194.304], "the last value is above the last bound")
	var count, buckets int64
	for _, d := range h.GetPositiveDelta() {
		buckets += d
		count += buckets
	}
	var length uint32
	for _, s := range h.GetPositiveSpan() {
		length += s.GetLength()
	}
	require.EqualValues(t, 5, count)
	require.Len(t, h.GetPositiveDelta(), int(length))
}

var metricName = regexp.MustCompile(`tenure_[a-z_]+`)

// Every metric in the alerts and in the dashboard exists.
func TestDeploy_NamesExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, f := range gather(t) {
		known[f.GetName()] = true
		if f.GetType() == dto.MetricType_HISTOGRAM {
			known[f.GetName()+"_bucket"] = true
		}
	}
	for _, name := range []string{"prometheus/alerts.yaml", "grafana/tenure.json"} {
		text, err := os.ReadFile(deploy + name)
		require.NoError(t, err)
		names := metricName.FindAllString(string(text), -1)
		require.NotEmpty(t, names)
		for _, metric := range names {
			require.True(t, known[metric], "%s: %s", name, metric)
		}
	}
}

// Each alert fires when it should, as promtool evaluates it.
func TestDeploy_AlertsFire(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("promtool is missing: install the package prometheus of Debian")
	}
	require.NoError(t, err)
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = deploy + "prometheus"
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}
