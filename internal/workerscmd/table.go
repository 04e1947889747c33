package workerscmd

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tenure/internal/cli"
	"tenure/internal/printable"
)

// stateUnassigned is the state of a task that no worker has. The other states are those of package workers.
const stateUnassigned = "unassigned"

// A table is what --status prints of a pool. Its fields are documented in docs/workers.md.
type table struct {
	Node       string    `json:"node"`
	Time       time.Time `json:"time"`
	Tasks      []row     `json:"tasks"`
	Unassigned []string  `json:"unassigned"`
	Workers    []member  `json:"workers"`
}

// A row is a task of a table.
type row struct {
	Task     string     `json:"task"`
	Weight   int        `json:"weight"`
	State    string     `json:"state"`
	Worker   string     `json:"worker,omitempty"`
	Since    *time.Time `json:"since,omitempty"` // running: since when
	Heard    *time.Time `json:"heard,omitempty"` // running: when the task was last heard from
	Token    uint64     `json:"token,omitempty"`
	Failures int        `json:"failures,omitempty"` // in a row
	Failure  string     `json:"failure,omitempty"`  // the last one
	FailedAt *time.Time `json:"failed_at,omitempty"`
	Done     *time.Time `json:"done,omitempty"` // when it was done
}

// A member is a worker of a table.
type member struct {
	Worker   string            `json:"worker"`
	Who      string            `json:"who,omitempty"`
	Session  uint64            `json:"session,omitempty"`
	Capacity int               `json:"capacity"`
	Load     int               `json:"load"` // the sum of the weights of its tasks
	Tasks    int               `json:"tasks"`
	Mode     string            `json:"mode,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Leaving  bool              `json:"leaving,omitempty"`
	Differs  bool              `json:"differs,omitempty"` // its list of tasks is another one
	Self     bool              `json:"self,omitempty"`    // it is this process
}

// sort orders tasks and workers as people do.
func (t *table) sort() {
	slices.SortFunc(t.Tasks, func(a, b row) int { return natural(a.Task, b.Task) })
	slices.SortFunc(t.Workers, func(a, b member) int { return natural(a.Worker, b.Worker) })
	slices.SortFunc(t.Unassigned, natural)
}

// text returns the table for people.
func (t *table) text() string {
	var b strings.Builder
	tasks := make([][]string, 0, len(t.Tasks))
	for _, r := range t.Tasks {
		tasks = append(tasks, r.cells(t.Time))
	}
	workers := make([][]string, 0, len(t.Workers))
	for _, m := range t.Workers {
		workers = append(workers, m.cells())
	}
	b.WriteString(cmp.Or(printable.Columns([]string{
		"TASK", "STATE", "WORKER", "SINCE", "HEARD", "TOKEN", "FAILURES",
	}, tasks), "no task\n"))
	b.WriteByte('\n')
	b.WriteString(cmp.Or(printable.Columns([]string{
		"WORKER", "LOAD", "TASKS", "SESSION", "ASSIGN", "REMARKS",
	}, workers), "no worker\n"))
	if len(t.Unassigned) > 0 {
		b.WriteString("\n" + unassignedLine(t.Unassigned, len(t.Tasks)) + "\n")
	}

	return b.String()
}

func (r row) cells(now time.Time) []string {
	token := ""
	if r.Weight > 1 {
		r.Task += "=" + strconv.Itoa(r.Weight)
	}
	if r.Token > 0 {
		token = strconv.FormatUint(r.Token, 10)
	}
	failures := ""
	if r.Failures > 0 {
		failures = strconv.Itoa(r.Failures)
		if r.FailedAt != nil {
			failures += ", " + ago(r.FailedAt, now) + " ago"
		}
		if r.Failure != "" {
			failures += ": " + r.Failure
		}
	}

	return []string{r.Task, r.State, r.Worker, ago(r.Since, now), ago(r.Heard, now), token, failures}
}

func (m member) cells() []string {
	var remarks []string
	for remark, on := range map[string]bool{
		"this process": m.Self, "leaving": m.Leaving, "another list of tasks": m.Differs,
	} {
		if on {
			remarks = append(remarks, remark)
		}
	}
	for label, value := range m.Labels {
		remarks = append(remarks, label+"="+value)
	}
	slices.Sort(remarks)
	name, session := m.Worker, ""
	if m.Who != "" && m.Who != m.Worker {
		name += ": " + m.Who
	}
	if m.Session > 0 {
		session = strconv.FormatUint(m.Session, 10)
	}

	return []string{
		name, fmt.Sprintf("%d of %d", m.Load, m.Capacity), strconv.Itoa(m.Tasks), session, m.Mode,
		strings.Join(remarks, ", "),
	}
}

// ago returns how long ago a time is.
func ago(at *time.Time, now time.Time) string {
	if at == nil {
		return ""
	}

	return cli.Elapsed(now.Sub(*at))
}

// maxNames is how many names a line lists.
const maxNames = 5

// unassignedLine says which tasks no worker has, of so many tasks.
func unassignedLine(names []string, of int) string {
	return fmt.Sprintf("%d of %d unassigned: %s", len(names), of, some(names))
}

// some lists names, and says how many it leaves out.
func some(names []string) string {
	if len(names) <= maxNames+1 {
		return printable.Text(strings.Join(names, ", "))
	}

	return fmt.Sprintf("%s, ... and %d more", printable.Text(strings.Join(names[:maxNames], ", ")), len(names)-maxNames)
}

// sorted returns the names in the order in which people expect them.
func sorted(names []string) []string { return slices.SortedFunc(slices.Values(names), natural) }

// natural compares texts like strings.Compare, except that numbers in them count as numbers: job-2 is before job-10.
func natural(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		n, m := digits(x), digits(y)
		switch {
		case n > 0 && m > 0:
			p, q := strings.TrimLeft(x[:n], "0"), strings.TrimLeft(y[:m], "0")
			if c := cmp.Or(cmp.Compare(len(p), len(q)), strings.Compare(p, q)); c != 0 {
				return c
			}
		case x[0] != y[0]:
			return cmp.Compare(x[0], y[0])
		default:
			n, m = 1, 1
		}
		x, y = x[n:], y[m:]
	}

	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b)) // job-1 and job-01 are not the same
}

// digits returns the number of digits that the text begins with.
func digits(text string) int {
	return len(text) - len(strings.TrimLeft(text, "0123456789"))
}
