package assign

import (
	"cmp"
	"slices"
)

// levelled returns the plan that levels the classes one by one, heaviest first. It is the only candidate if all weights
// are equal, and the last resort if they differ.
//
// The plan is the same at each step towards it. That follows by induction: the quotas of a class depend on the plan of
// the classes before it and on nothing about the class itself that such a step changes (see quotas); a member that owns
// at most its quota keeps everything; and a task that has arrived leaves to the other loose tasks the same room that
// they would find if they chose in turn.
func (b *balancer) levelled() plan {
	p := b.newPlan()
	rest := b.total
	for _, c := range b.classes {
		b.level(p, c, rest)
		rest -= c.weight * len(c.tasks)
	}
	return p
}

// level plans the tasks of one class. rest is the sum of the weights of this class and those that follow.
func (b *balancer) level(p plan, c class, rest int) {
	own := make([]int, len(b.capacity))
	for _, t := range c.tasks {
		if m := b.owner[t]; m != None {
			own[m]++
		}
	}
	quota := b.quotas(p.load, c, rest, own)
	var loose []hashed // tasks without an owner that keeps them
	surplus := map[int][]int{}
	for _, t := range c.tasks {
		switch m := b.owner[t]; {
		case m == None:
			loose = append(loose, b.hashed(t))
		case own[m] > quota[m]:
			surplus[m] = append(surplus[m], t)
		default:
			p.target[t] = m
		}
	}
	for _, m := range c.open {
		if own[m] <= quota[m] {
			continue
		}
		ranked := b.byScore(m, surplus[m])
		for _, x := range ranked[:quota[m]] {
			p.target[x.task] = m
		}
		loose = append(loose, ranked[quota[m]:]...)
		own[m] = quota[m]
	}
	slices.SortFunc(loose, hashed.compare)
	for _, x := range loose {
		m := b.pick(x, c.open, func(m int) bool { return own[m] < quota[m] })
		if m != None {
			p.target[x.task] = m
			own[m]++
		}
	}
	for _, m := range c.open {
		p.load[m] += own[m] * c.weight
	}
}

// A hashed is a task with the hash of its name.
type hashed struct {
	hash uint64
	task int
}

func (b *balancer) hashed(t int) hashed { return hashed{hashName(b.tasks[t].Name), t} }

// compare orders tasks by hash, then by name. The order gives no name an advantage over all members.
func (x hashed) compare(y hashed) int {
	return cmp.Or(cmp.Compare(x.hash, y.hash), cmp.Compare(x.task, y.task))
}

// byScore returns tasks in the order of their score for member m, highest first.
func (b *balancer) byScore(m int, tasks []int) []hashed {
	type scored struct {
		hashed
		score uint64
	}
	all := make([]scored, len(tasks))
	for i, t := range tasks {
		h := b.hashed(t)
		all[i] = scored{h, pairHash(h.hash, b.hash[m])}
	}
	slices.SortFunc(all, func(x, y scored) int {
		return cmp.Or(cmp.Compare(y.score, x.score), x.compare(y.hashed))
	})
	sorted := make([]hashed, len(all))
	for i, x := range all {
		sorted[i] = x.hashed
	}
	return sorted
}

// pick returns the member of open that has the highest score for the task among those that have room, or None.
func (b *balancer) pick(x hashed, open []int, room func(m int) bool) int {
	best, bestDistance := None, uint64(0)
	for _, m := range open {
		if !room(m) {
			continue
		}
		d := distance(pairHash(x.hash, b.hash[m]))
		if best == None || lessRatio(d, b.capacity[m], bestDistance, b.capacity[best]) {
			best, bestDistance = m, d
		}
	}
	return best
}
