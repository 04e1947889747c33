package assign

import (
	"cmp"
	"slices"
)

// keepOwned changes p so that no member leaves a task that it owns to nobody in order to get another one. It drops the
// other one instead, which goes back to its own owner if there is room.
//
// Steps towards the changed plan are steps towards p too. Therefore p is the same at each of them, if it was before,
// and so are the changes: which of the tasks a member gets is dropped does not depend on their owners.
func (b *balancer) keepOwned(p plan) {
	for again := true; again; {
		again = false
		for m, owns := range b.lost(p) {
			if !owns {
				continue
			}
			var lost, incoming []ranked
			for _, c := range b.classes {
				for _, t := range c.tasks {
					switch {
					case b.owner[t] == m && p.target[t] == None:
						lost = append(lost, b.rank(m, c, t))
					case b.owner[t] != m && p.target[t] == m:
						incoming = append(incoming, b.rank(m, c, t))
					}
				}
			}
			again = b.takeBack(p, m, lost, incoming) || again
		}
	}
}

// lost returns, by member, whether it owns a task that has no member in p.
func (b *balancer) lost(p plan) []bool {
	lost := make([]bool, len(b.capacity))
	for t, m := range b.owner {
		if m != None && p.target[t] == None {
			lost[m] = true
		}
	}
	return lost
}

// A ranked is a task with its score for a member.
type ranked struct {
	task   int
	weight int
	score  uint64
}

func (b *balancer) rank(m int, c class, t int) ranked {
	return ranked{t, c.weight, pairHash(hashName(b.tasks[t].Name), b.hash[m])}
}

// compare orders tasks by what a member gives up first: heavy tasks, and of equal ones those with the lowest score.
func (x ranked) compare(y ranked) int {
	return cmp.Or(cmp.Compare(y.weight, x.weight), cmp.Compare(x.score, y.score), cmp.Compare(x.task, y.task))
}

// takeBack lets member m keep as many of the lost tasks as it has capacity for without the incoming ones. It reports
// whether it changed p.
func (b *balancer) takeBack(p plan, m int, lost, incoming []ranked) bool {
	slices.SortFunc(lost, ranked.compare)
	slices.SortFunc(incoming, ranked.compare)
	droppable := 0
	for _, x := range incoming {
		droppable += x.weight
	}
	changed := false
	for _, x := range slices.Backward(lost) {
		if p.load[m]+x.weight-droppable > b.capacity[m] {
			continue
		}
		for p.load[m]+x.weight > b.capacity[m] {
			y := incoming[0]
			incoming = incoming[1:]
			droppable -= y.weight
			p.target[y.task] = None
			p.load[m] -= y.weight
		}
		p.target[x.task] = m
		p.load[m] += x.weight
		changed = true
	}
	return changed
}
