package lockcmd

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure"
)

// The text is the one that Prometheus's client (client_golang v1.23.2) writes for the same metrics.
func TestMeter_Exposition(t *testing.T) {
	t.Parallel()
	m := &meter{names: []string{"a\"b\\c\nd"}, losses: make(map[string]uint64)}
	expected := func(deadline, held, losses string, buckets ...string) string {
		text := `# HELP tenure_lock_acquire_seconds Time from the first attempt to the grant.
# TYPE tenure_lock_acquire_seconds histogram
`
		for i, le := range []string{
			"0.001", "0.004", "0.016", "0.064", "0.256", "1.024", "4.096", "16.384", "65.536", "262.144", "1048.576",
			"4194.304", "+Inf",
		} {
			text += `tenure_lock_acquire_seconds_bucket{NAME,le="` + le + `"} ` + buckets[i] + "\n"
		}
		text += `tenure_lock_acquire_seconds_sum{NAME} ` + buckets[13] + `
tenure_lock_acquire_seconds_count{NAME} ` + buckets[12] + `
# HELP tenure_lock_deadline_seconds Time until which the lock is certainly held, as a Unix time; 0 if it is not held.
# TYPE tenure_lock_deadline_seconds gauge
tenure_lock_deadline_seconds{NAME} ` + deadline + `
# HELP tenure_lock_held Whether this process holds the lock.
# TYPE tenure_lock_held gauge
tenure_lock_held{NAME} ` + held + "\n" + losses

		return strings.ReplaceAll(text, "NAME", `semaphore="a\"b\\c\nd"`)
	}
	require.Equal(t, expected("0", "0", "", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0"),
		string(m.exposition()))

	for _, waited := range []time.Duration{1500 * time.Microsecond, time.Millisecond, 1e6 * time.Second} {
		m.acquired(waited)
	}
	m.lost(nil)
	m.lost(tenure.ErrSessionExpired)
	m.lost(tenure.ErrSessionExpired)
	m.acquired(0)
	m.renewed(time.UnixMilli(1795806908710))
	require.Equal(t, expected("1.79580690871e+09", "1", `# HELP tenure_lock_losses_total Locks that were lost, by cause.
# TYPE tenure_lock_losses_total counter
tenure_lock_losses_total{cause="expired",NAME} 2
tenure_lock_losses_total{cause="no_answer",NAME} 1
`, "2", "3", "3", "3", "3", "3", "3", "3", "3", "3", "3", "3", "4", "1.0000000025e+06"), string(m.exposition()))

	m.released()
	require.Contains(t, string(m.exposition()), "tenure_lock_deadline_seconds{semaphore=\"a\\\"b\\\\c\\nd\"} 0\n")
}

// Each lock has its own samples, and a family begins once.
func TestMeter_SeveralNames(t *testing.T) {
	t.Parallel()
	l := &locker{}
	l.names = []string{"deploy", "build", "deploy"}
	l.metrics = "127.0.0.1:0"
	m, err := l.newMeter()
	require.NoError(t, err)
	defer m.close()
	m.acquired(time.Second)
	m.lost(tenure.ErrSessionExpired)
	text := string(m.exposition())
	require.Contains(t, text, "gauge\ntenure_lock_held{semaphore=\"build\"} 0\n"+
		"tenure_lock_held{semaphore=\"deploy\"} 0\n# HELP tenure_lock_losses")
	require.Equal(t, 4, strings.Count(text, "# TYPE"))
	for _, sample := range []string{"acquire_seconds_count{", "losses_total{cause=\"expired\",", "deadline_seconds{"} {
		for _, name := range []string{"build", "deploy"} {
			require.Equal(t, 1, strings.Count(text, "tenure_lock_"+sample+"semaphore=\""+name+"\"}"), text)
		}
	}
}
