package workerscmd

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure"
	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/workers"
)

// The metrics follow from the events.
func TestMeter(t *testing.T) {
	t.Parallel()
	w := &worker{config: newConfig(), env: &cli.Env{Stderr: new(strings.Builder)}, clock: clock.Go()}
	w.once, w.quiet, w.argv = true, true, []string{"true"}
	w.cmd = Command(w.env)
	w.screen, w.state = &screen{}, newState(4)
	w.monitor = w.NewMonitor()
	w.meter = newMeter(true, w.state)
	defer w.monitor.Close()
	w.state.setTasks([]workers.Spec{{Name: "a", Weight: 2}, {Name: "b", Weight: 1}, {Name: "c", Weight: 1}})
	const all = "running load session starts failures moves adopted refusals stuck unassigned members listed"
	require.Equal(t, "0 0 0 0 0 0 0 0 0 0 0 3", values(w.meter, all))
	for _, e := range []workers.Event{
		workers.Asking{Session: 7},
		workers.Members{Workers: []string{"x", "y"}},
		workers.Started{Task: "a", Token: 1},
		workers.Started{Task: "b", Token: 2},
		workers.Unassigned{Tasks: []string{"c"}, Of: 3},
		workers.Moving{Task: "b", To: "y"},
		workers.Stuck{Task: "b"},
		workers.Refused{Task: "c", Err: exitError(1)},
		workers.Failed{Task: "a", Err: exitError(1)},
		workers.Adopted{Task: "c"},
	} {
		w.observe(e)
	}
	require.Equal(t, "2 3 1 2 1 1 1 1 1 1 2 3", values(w.meter, all))
	for _, e := range []workers.Event{
		workers.Ended{Task: "b"},
		workers.Ended{Task: "a"},
		workers.Done{Task: "a"},
		workers.Lost{Cause: tenure.ErrSessionExpired},
		workers.Failed{Task: "b", Err: exitError(1), Final: true},
		workers.Unassigned{},
	} {
		w.observe(e)
	}
	require.Equal(t, "0 0 0 0 0 1 1", values(w.meter, "running load session stuck unassigned done failed"))
	require.Contains(t, string(w.meter.exposition()), `tenure_workers_losses_total{cause="expired"} 1`+"\n")
}

// values returns the values of metrics whose names begin with the words.
func values(m *meter, words string) string {
	text := string(m.exposition())
	var found []string
	for word := range strings.FieldsSeq(words) {
		for _, name := range []string{
			`tenure_tasks{state="` + word + `"}`, "tenure_workers_" + word + "_total", "tenure_workers_" + word + "_tasks_total",
			"tenure_workers_" + word,
		} {
			pattern := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`)
			if match := pattern.FindStringSubmatch(text); match != nil {
				found = append(found, match[1])

				break
			}
		}
	}

	return strings.Join(found, " ")
}
