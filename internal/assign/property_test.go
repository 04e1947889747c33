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

// add adds a member that accepts the tasks that start with one of the letters of pattern.
func (p *pool) add(m assign.Member, pattern string) {
	if pattern != "" {
		m.Accepts = func(task string) bool { return strings.Contains(pattern, task[:1]) }
	}
	p.members, p.patterns = append(p.members, m), append(p.patterns, pattern)
}

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
		p.add(m, pattern)
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
// acquires it. Each step starts from a new call of Balance. exact: the target must never change.
func checkSteps(t *rapid.T, s shape, exact bool) {
	p := drawPool(t, s)
	first := p.balance()
	p.requireValid(t, first)
	start, plan, released := slices.Clone(p.owner), 0, map[int]int{}
	for i, m := range start {
		if m != assign.None && m != first[i] {
			plan++
		}
	}
	for steps := 0; ; steps++ {
		require.Less(t, steps, 1000)
		target := p.balance()
		if exact {
			require.Equal(t, first, target, "started from %v, is at %v\n%v", start, p.owner, p)
		}
		var todo []int
		for i, m := range p.owner {
			if m != target[i] {
				todo = append(todo, i)
			}
		}
		if len(todo) == 0 {
			break
		}
		i := rapid.SampledFrom(todo).Draw(t, "task")
		if p.owner[i] != assign.None {
			p.owner[i] = assign.None
			released[i]++
			if exact {
				require.Equal(t, 1, released[i], "task %d: started from %v, is at %v\n%v", i, start, p.owner, p)
			}
		} else {
			p.owner[i] = target[i]
		}
	}
	moved := 0
	for _, n := range released {
		moved += n
	}
	require.LessOrEqual(t, moved, plan, "started from %v, is at %v\n%v", start, p.owner, p)
}

// A worker that computes the target at any step of a plan gets the same target. With different weights, it may be
// another one, but the moves are not more than those of the first plan.
func TestBalance_StepByStep(t *testing.T) {
	t.Parallel()
	for _, s := range []shape{{}, {weights: true}, {patterns: true}, {weights: true, patterns: true}} {
		t.Run(fmt.Sprintf("%+v", s), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { checkSteps(t, s, !s.weights) })
		})
	}
}

// The result is valid, and Balance changes nothing about its own result.
func TestBalance_FixedPoint(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPool(t, shape{rapid.Bool().Draw(t, "weights"), rapid.Bool().Draw(t, "patterns")})
		target := p.balance()
		p.requireValid(t, target)
		p.owner = target
		require.Equal(t, target, p.balance(), "%v", p)
	})
}

// If all tasks have the same weight and all members accept them, the loads are level and as many tasks as possible have
// a member.
func TestBalance_Level(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPool(t, shape{})
		target, capacity := p.balance(), 0
		for _, m := range p.members {
			if !m.Leaving {
				capacity += m.Capacity
			}
		}
		require.Len(t, assign.Unassigned(target), max(len(p.tasks)-capacity, 0))
		require.Empty(t, p.flaw(target), "%v", p)
	})
}

// No task loses its owner, which stays and has the capacity for all that it owns, to another task.
func TestBalance_KeepsOwned(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPool(t, shape{rapid.Bool().Draw(t, "weights"), rapid.Bool().Draw(t, "patterns")})
		target := p.balance()
		for i, m := range p.owner {
			if m == assign.None || p.members[m].Leaving || p.loads(p.owner)[m] > p.members[m].Capacity {
				continue
			}
			if accepts := p.members[m].Accepts; accepts == nil || accepts(p.tasks[i].Name) {
				require.NotEqual(t, assign.None, target[i], "task %d\n%v", i, p)
			}
		}
	})
}

// A worker that leaves, or that is gone, moves its own tasks only. When it is back before they have a new owner, it
// gets exactly them, but for a last unit that another member has an equal right to.
func TestBalance_OneLeaves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPool(t, shape{})
		p.owner = p.balance()
		if len(assign.Unassigned(p.owner)) > 0 {
			t.Skip("unassigned tasks get what becomes free")
		}
		m := rapid.IntRange(0, len(p.members)-1).Draw(t, "leaves")
		before := p.members[m]

		p.members[m].Leaving = true
		leaving := p.balance()
		p.members[m] = before
		released := slices.Clone(p.owner)
		for i, o := range released {
			if o == m {
				released[i] = assign.None
			}
		}
		gone := assign.Balance(p.tasks, slices.Delete(slices.Clone(p.members), m, m+1), without(released, m))
		back := assign.Balance(p.tasks, p.members, released)
		missing := 0
		for i, o := range p.owner {
			switch {
			case o != m:
				require.Equal(t, o, leaving[i])
				require.Equal(t, without(p.owner, m)[i], gone[i])
				require.Equal(t, o, back[i])
			case back[i] != m:
				missing++
			}
		}
		require.LessOrEqual(t, missing, 1, "%v", p)
	})
}

// without returns owner for the same members without m.
func without(owner []int, m int) []int {
	renamed := slices.Clone(owner)
	for i, o := range renamed {
		if o > m {
			renamed[i]--
		}
	}
	return renamed
}

// Neither the index of a member nor the way in which it says that it accepts all tasks matters.
func TestBalance_SameAnswerEverywhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPool(t, shape{rapid.Bool().Draw(t, "weights"), rapid.Bool().Draw(t, "patterns")})
		target := p.balance()
		require.Equal(t, target, p.balance())
		at := rapid.IntRange(0, len(p.members)).Draw(t, "watcher")
		watcher := assign.Member{Name: "w"}
		for m := range p.members {
			if p.members[m].Accepts == nil && rapid.Bool().Draw(t, "explicit") {
				p.members[m].Accepts = func(string) bool { return true }
			}
		}
		p.members = slices.Insert(p.members, at, watcher)
		for i, m := range p.owner {
			if m >= at {
				p.owner[i]++
			}
		}
		for i, m := range p.balance() {
			if m > at {
				m--
			}
			require.Equal(t, target[i], m)
		}
	})
}
