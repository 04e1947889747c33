package assign_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tenure/internal/assign"
)

// A pool is the input of Balance. patterns holds, by member, the letters that its tasks may start with; "" is any.
type pool struct {
	tasks    []assign.Task
	members  []assign.Member
	patterns []string
	owner    []int
}

func (p pool) balance() []int { return assign.Balance(p.tasks, p.members, p.owner) }

func (p pool) String() string {
	var b strings.Builder
	for i, m := range p.members {
		fmt.Fprintf(&b, "%s capacity %d leaving %t accepts %q:", m.Name, m.Capacity, m.Leaving, p.patterns[i])
		for t, o := range p.owner {
			if o == i {
				fmt.Fprintf(&b, " %s=%d", p.tasks[t].Name, p.tasks[t].Weight)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

type shape struct{ weights, patterns bool }

// drawPool draws a pool of a few members.
func drawPool(t *rapid.T, s shape) pool {
	p := pool{}
	top := rapid.IntRange(1, 6).Draw(t, "capacity")
	for i := range rapid.IntRange(1, 6).Draw(t, "members") {
		m := assign.Member{
			Name:     fmt.Sprintf("w%d-%d", i, rapid.IntRange(0, 99).Draw(t, "name")),
			Capacity: rapid.IntRange(0, top).Draw(t, "capacity"),
			Leaving:  rapid.IntRange(0, 9).Draw(t, "leaving") == 0,
		}
		if s.weights {
			m.Capacity *= rapid.IntRange(1, 3).Draw(t, "factor")
		}
		pattern := ""
		if s.patterns {
			pattern = rapid.SampledFrom([]string{"", "a", "ab", "b", "bc"}).Draw(t, "pattern")
		}
		if pattern != "" {
			m.Accepts = func(task string) bool { return strings.Contains(pattern, task[:1]) }
		}
		p.members, p.patterns = append(p.members, m), append(p.patterns, pattern)
	}
	for i := range rapid.IntRange(0, 20).Draw(t, "tasks") {
		task := assign.Task{Name: fmt.Sprintf("%c%d", 'a'+rapid.IntRange(0, 2).Draw(t, "letter"), i), Weight: 1}
		if s.weights {
			task.Weight = rapid.SampledFrom([]int{1, 1, 2, 3, 5}).Draw(t, "weight")
		}
		p.tasks = append(p.tasks, task)
	}
	slices.SortFunc(p.tasks, func(x, y assign.Task) int { return strings.Compare(x.Name, y.Name) })
	hoard := rapid.IntRange(0, len(p.members)-1).Draw(t, "hoard")
	for range p.tasks {
		o := rapid.IntRange(-1, len(p.members)-1).Draw(t, "owner")
		if rapid.IntRange(0, 3).Draw(t, "hoards") == 0 {
			o = hoard
		}
		p.owner = append(p.owner, o)
	}
	return p
}

func (p pool) loads(owner []int) []int {
	n := make([]int, len(p.members))
	for t, m := range owner {
		if m != assign.None {
			n[m] += p.tasks[t].Weight
		}
	}
	return n
}

func (p pool) requireValid(t require.TestingT, target []int) {
	for m, n := range p.loads(target) {
		require.LessOrEqual(t, n, p.members[m].Capacity)
		if p.members[m].Leaving {
			require.Zero(t, n)
		}
	}
	for i, m := range target {
		if m != assign.None && p.members[m].Accepts != nil {
			require.True(t, p.members[m].Accepts(p.tasks[i].Name))
		}
	}
}

// checkSteps carries out the plan step by step in random order: an owner releases a task, and later the new one
// acquires it. Each step starts from a new call of Balance.
func checkSteps(t *rapid.T, s shape) {
	p := drawPool(t, s)
	first := p.balance()
	p.requireValid(t, first)
	start := slices.Clone(p.owner)
	for {
		target := p.balance()
		require.Equal(t, first, target, "started from %v, is at %v\n%v", start, p.owner, p)
		var todo []int
		for i, m := range p.owner {
			if m != target[i] {
				todo = append(todo, i)
			}
		}
		if len(todo) == 0 {
			return
		}
		i := rapid.SampledFrom(todo).Draw(t, "task")
		if p.owner[i] != assign.None {
			p.owner[i] = assign.None
		} else {
			p.owner[i] = target[i]
		}
	}
}

func TestBalance_StepByStep(t *testing.T) {
	t.Parallel()
	for _, s := range []shape{{}, {weights: true}, {patterns: true}, {weights: true, patterns: true}} {
		t.Run(fmt.Sprintf("%+v", s), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { checkSteps(t, s) })
		})
	}
}

func maxOf(n []int) int { return slices.Max(n) }
func minOf(n []int) int { return slices.Min(n) }
