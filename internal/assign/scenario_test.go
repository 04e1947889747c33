package assign_test

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"tenure/internal/assign"
)

// TestBalance_Scenarios runs the files of testdata/balance. Their targets must never change: workers of different
// versions of this package share a pool, and would otherwise take each other's tasks in turns.
func TestBalance_Scenarios(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/balance", func(t *testing.T, file string) {
		t.Helper()
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			require.Equal(t, "balance", d.Cmd)
			p := parsePool(t, d.Input)
			return p.format(p.balance())
		})
	})
}

// parsePool parses lines "member NAME CAPACITY [leaving] [accepts=PATTERN]" and "task NAME[=WEIGHT] [OWNER]", both in
// the order of their names. NAME may end in {N}: N members or tasks, numbered from 0.
func parsePool(t *testing.T, input string) pool {
	t.Helper()
	var p pool
	index := map[string]int{}
	for line := range strings.Lines(input) {
		f := strings.Fields(line)
		name, weight, _ := strings.Cut(f[1], "=")
		for _, name := range expand(t, name) {
			if f[0] == "member" {
				m := assign.Member{Name: name, Capacity: number(t, f[2])}
				for _, option := range f[3:] {
					if pattern, ok := strings.CutPrefix(option, "accepts="); ok {
						m.Accepts = func(task string) bool {
							ok, err := path.Match(pattern, task)
							return ok && err == nil
						}
					} else {
						require.Equal(t, "leaving", option)
						m.Leaving = true
					}
				}
				index[name] = len(p.members)
				p.members = append(p.members, m)
				continue
			}
			task, owner := assign.Task{Name: name, Weight: 1}, assign.None
			if weight != "" {
				task.Weight = number(t, weight)
			}
			if len(f) > 2 {
				owner = index[f[2]]
			}
			p.tasks, p.owner = append(p.tasks, task), append(p.owner, owner)
		}
	}
	return p
}

func expand(t *testing.T, name string) []string {
	t.Helper()
	prefix, count, ok := strings.Cut(strings.TrimSuffix(name, "}"), "{")
	if !ok {
		return []string{name}
	}
	var names []string
	for i := range number(t, count) {
		names = append(names, fmt.Sprintf("%s%0*d", prefix, len(count), i))
	}
	return names
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

// format lists the tasks of each member in target: "+" marks a task that comes, "-" one that goes.
func (p pool) format(target []int) string {
	var b strings.Builder
	loads := p.loads(target)
	for m, x := range p.members {
		fmt.Fprintf(&b, "%s %d/%d:", x.Name, loads[m], x.Capacity)
		for t, to := range target {
			from := p.owner[t]
			switch {
			case from == m && to == m:
				fmt.Fprintf(&b, " %s", p.tasks[t].Name)
			case to == m:
				fmt.Fprintf(&b, " +%s", p.tasks[t].Name)
			case from == m:
				fmt.Fprintf(&b, " -%s", p.tasks[t].Name)
			}
		}
		b.WriteString("\n")
	}
	for _, t := range assign.Unassigned(target) {
		fmt.Fprintf(&b, "unassigned: %s\n", p.tasks[t].Name)
	}
	return b.String()
}
