package assign_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/assign"
)

// TestBalance_FewMoves compares the number of moves with the minimum over all balanced targets, in 1,000 random pools.
func TestBalance_FewMoves(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range []shape{{}, {weights: true}, {patterns: true}, {weights: true, patterns: true}} {
		moves, least, missing, leastMissing, unlevel := 0, 0, 0, 0, 0
		for i := range 250 {
			p := randomPool(r, s, i%2 == 0)
			target := p.balance()
			p.requireValid(t, target)
			best := p.search()
			moves += p.moves(target)
			least += best.moves
			missing += len(assign.Unassigned(target))
			leastMissing += best.missing
			if p.flaw(target) != "" {
				unlevel++
			}
			if s == (shape{}) {
				require.Equal(t, result{len(assign.Unassigned(target)), p.moves(target)}, best, "%v", p)
				require.Empty(t, p.flaw(target), "%v", p)
			}
		}
		t.Logf("%+v: %d moves, at least %d; %d tasks unassigned, at least %d; %d pools of 250 not level",
			s, moves, least, missing, leastMissing, unlevel)
		require.LessOrEqual(t, float64(moves), 1.25*float64(least), "%+v", s)
	}
}

// randomPool returns a pool of three members. Its owners are random, or the target of the same pool before its last
// member joined and, in a third of the pools, its first one began to leave.
func randomPool(r *rand.Rand, s shape, settled bool) pool {
	var p pool
	for i := range 3 {
		m := assign.Member{Name: fmt.Sprintf("w%d-%d", i, r.IntN(1000)), Capacity: 2 + r.IntN(6)}
		if s.weights {
			m.Capacity *= 2
		}
		pattern := ""
		if s.patterns {
			pattern = []string{"", "", "a", "ab", "b", "bc"}[r.IntN(6)]
		}
		p.add(m, pattern)
	}
	for i := range 5 + r.IntN(4) {
		task := assign.Task{Name: fmt.Sprintf("%c%d-%d", 'a'+r.IntN(3), i, r.IntN(1000)), Weight: 1}
		if s.weights {
			task.Weight = []int{1, 1, 1, 2, 3, 5}[r.IntN(6)]
		}
		p.tasks = append(p.tasks, task)
		p.owner = append(p.owner, r.IntN(3))
	}
	slices.SortFunc(p.tasks, func(x, y assign.Task) int { return strings.Compare(x.Name, y.Name) })
	if settled {
		p.owner = free(len(p.tasks))
		p.members[2].Leaving = true
		p.owner = p.balance()
		p.members[2].Leaving = false
		p.members[0].Leaving = r.IntN(3) == 0
	}
	return p
}

// fits reports whether member m may get task t in addition to the loads.
func (p pool) fits(t, m int, loads []int) bool {
	x := p.members[m]
	return !x.Leaving && loads[m]+p.tasks[t].Weight <= x.Capacity && (x.Accepts == nil || x.Accepts(p.tasks[t].Name))
}

// flaw returns a single assignment or move that improves the balance of target, or "".
func (p pool) flaw(target []int) string {
	loads := p.loads(target)
	for t, from := range target {
		for to := range p.members {
			if from == to || !p.fits(t, to, loads) {
				continue
			}
			if from == assign.None {
				return fmt.Sprintf("task %d fits on %d", t, to)
			}
			if (loads[to]+p.tasks[t].Weight)*p.members[from].Capacity < loads[from]*p.members[to].Capacity {
				return fmt.Sprintf("task %d should go from %d to %d: loads %v", t, from, to, loads)
			}
		}
	}
	return ""
}

// moves returns how many tasks leave a member that stays.
func (p pool) moves(target []int) int {
	n := 0
	for t, m := range p.owner {
		if m != assign.None && target[t] != m && !p.members[m].Leaving {
			n++
		}
	}
	return n
}

type result struct{ missing, moves int }

// search tries all targets. It returns the best result of those without a flaw: few unassigned tasks, then few moves.
func (p pool) search() result {
	best := result{missing: len(p.tasks) + 1}
	target, loads := free(len(p.tasks)), make([]int, len(p.members))
	var try func(t int, r result)
	try = func(t int, r result) {
		if r.missing > best.missing || r.missing == best.missing && r.moves >= best.moves {
			return
		}
		if t == len(target) {
			if p.flaw(target) == "" {
				best = r
			}
			return
		}
		for m := range p.members {
			if !p.fits(t, m, loads) {
				continue
			}
			next := r
			if o := p.owner[t]; o != assign.None && o != m && !p.members[o].Leaving {
				next.moves++
			}
			target[t] = m
			loads[m] += p.tasks[t].Weight
			try(t+1, next)
			loads[m] -= p.tasks[t].Weight
		}
		target[t] = assign.None
		r.missing++
		if o := p.owner[t]; o != assign.None && !p.members[o].Leaving {
			r.moves++
		}
		try(t+1, r)
	}
	try(0, result{})
	return best
}
