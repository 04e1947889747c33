package assign_test

import (
	"cmp"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"tenure/internal/assign"
)

// TestBalance_Twin compares Balance with a slow twin, for tasks of weight 1 that all members accept.
func TestBalance_Twin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPool(t, shape{})
		require.Equal(t, p.twin(), p.balance(), "%v", p)
	})
}

// twin hands out the quotas one by one, and then the tasks one by one.
func (p pool) twin() []int {
	own, quota := make([]int, len(p.members)), make([]int, len(p.members))
	may := func(m int) bool { return m != assign.None && p.members[m].Capacity > 0 && !p.members[m].Leaving }
	for _, m := range p.owner {
		if may(m) {
			own[m]++
		}
	}
	for range p.tasks {
		best := assign.None
		for m, x := range p.members {
			if !may(m) || quota[m] == x.Capacity {
				continue
			}
			if best == assign.None {
				best = m
				continue
			}
			y := p.members[best]
			if cmp.Or(
				big.NewRat(int64(quota[m]+1), int64(x.Capacity)).Cmp(big.NewRat(int64(quota[best]+1), int64(y.Capacity))),
				-compareBool(own[m] > quota[m], own[best] > quota[best]),
				cmp.Compare(assign.HashName(x.Name), assign.HashName(y.Name)),
			) < 0 {
				best = m
			}
		}
		if best != assign.None {
			quota[best]++
		}
	}

	target := append([]int{}, p.owner...)
	for m := range p.members {
		for p.count(target, m) > quota[m] { // the quota of a member that must not own tasks is 0
			worst := assign.None
			for t, o := range target {
				if o == m && (worst == assign.None || p.score(t, m) < p.score(worst, m)) {
					worst = t
				}
			}
			target[worst] = assign.None
		}
	}
	order := assign.Unassigned(target)
	slices.SortFunc(order, func(x, y int) int {
		return cmp.Compare(assign.HashName(p.tasks[x].Name), assign.HashName(p.tasks[y].Name))
	})
	for _, t := range order {
		best := assign.None
		for m := range p.members {
			if may(m) && p.count(target, m) < quota[m] &&
				(best == assign.None || p.distance(t, m).Cmp(p.distance(t, best)) < 0) {
				best = m
			}
		}
		target[t] = best
	}
	return target
}

func (p pool) count(target []int, m int) int {
	n := 0
	for _, o := range target {
		if o == m {
			n++
		}
	}
	return n
}

func (p pool) score(t, m int) uint64 { return assign.PairHash(p.tasks[t].Name, p.members[m].Name) }

func (p pool) distance(t, m int) *big.Rat {
	d := new(big.Rat).SetUint64(assign.Distance(p.score(t, m)))
	return d.Quo(d, big.NewRat(int64(p.members[m].Capacity), 1))
}

func compareBool(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return 1
	default:
		return -1
	}
}
