package assign

import (
	"cmp"
	"slices"
)

// repeat returns what fewestMoves comes to when it is repeated on its own result. If each task has a member, that is
// the first result. Otherwise the moves may have made room for a task that found none before.
func (b *balancer) repeat() []int {
	target := b.fewestMoves()
	for range 8 {
		if !slices.Contains(target, None) {
			break
		}
		b.own(target)
		next := b.fewestMoves()
		if slices.Equal(target, next) {
			break
		}
		target = next
	}
	return target
}

// fewestMoves returns the target that moves the fewest tasks, of a fixed list of candidates.
//
// With different weights, the best target is the solution of a packing problem, which takes too long to find in a large
// pool. The candidates have two limits for each member. A member whose load is above the first limit gives tasks back.
// A member gets tasks up to the second limit, which is not above the first. So a member never gives back a task that it
// has got, and the candidate is the same at each step towards it. Each move towards the chosen candidate takes one off
// its count. So if a later call chooses another candidate, that one has no more moves than were left.
func (b *balancer) fewestMoves() []int {
	slacks, heaviest := []int{0}, b.classes[0].weight
	for last := 0; last < heaviest; slacks = append(slacks, last) {
		last = min(2*last+1, heaviest)
	}
	s := search{balancer: b, moves: len(b.tasks) + 1}
	share := b.shares(make([]int, len(b.capacity)), b.total)
	for _, slack := range slacks {
		limit := slices.Clone(share)
		for m := range limit {
			limit[m] = min(limit[m]+slack, b.capacity[m])
		}
		s.limits = append(s.limits, limit)
	}
	s.try(b.capacity, len(slacks), keepLight)
	if s.moves == 0 {
		return s.best.target
	}
	for i := range slices.Backward(s.limits) {
		s.try(s.limits[i], i+1, keepLight)
		s.try(s.limits[i], i+1, giveHeavy)
	}
	last := b.levelled()
	switch {
	case s.best.target == nil:
		b.keepOwned(last)
		return last.target
	case last.complete() && b.moves(last) < s.moves:
		return last.target
	default:
		return s.best.target
	}
}

// A search looks for the plan with the fewest moves.
type search struct {
	*balancer
	limits [][]int // limits for what a member gets, lowest first
	best   plan
	moves  int
	lists  [][]held // by member: see holds
}

// A held is a task that a member owns or owned.
type held struct {
	hashed
	class int // index in classes
}

// try tries the candidates that give back down to keep, and get up to one of the first n of s.limits.
func (s *search) try(keep []int, n int, rule func(s *search, list []held, load, limit int) []held) {
	p, loose, moves := s.reduce(keep, rule)
	if moves >= s.moves {
		return
	}
	for m, load := range p.load {
		if load > s.capacity[m] {
			return
		}
	}
	for _, limit := range s.limits[:n] {
		q := plan{slices.Clone(p.target), slices.Clone(p.load)}
		if s.place(q, loose, limit) && s.balanced(q) {
			s.best, s.moves = q, moves
			return
		}
	}
}

// reduce returns the plan in which each member keeps what it owns, except for what rule says that it gives back to get
// to its limit. It also returns the tasks without an owner, in the order in which place takes them, and the number of
// tasks given back.
func (s *search) reduce(limit []int, rule func(s *search, list []held, load, limit int) []held) (plan, []held, int) {
	p := plan{slices.Clone(s.owner), slices.Clone(s.owned)}
	var loose []held
	for m, load := range s.owned {
		if load <= limit[m] {
			continue
		}
		for _, x := range rule(s, s.holds(m), load, limit[m]) {
			p.target[x.task] = None
			p.load[m] -= s.classes[x.class].weight
			loose = append(loose, x)
		}
	}
	moves := len(loose)
	for i, c := range s.classes {
		for _, t := range c.tasks {
			if s.owner[t] == None {
				loose = append(loose, held{s.hashed(t), i})
			}
		}
	}
	slices.SortFunc(loose, func(x, y held) int {
		return cmp.Or(cmp.Compare(x.class, y.class), x.compare(y.hashed))
	})
	return p, loose, moves
}

// holds returns the tasks that member m owns: heaviest first, and those with the lowest score first among equals.
func (s *search) holds(m int) []held {
	if s.lists == nil {
		s.lists = make([][]held, len(s.capacity))
		owns := make([][]int, len(s.capacity))
		for i, c := range s.classes {
			for m := range owns {
				owns[m] = owns[m][:0]
			}
			for _, t := range c.tasks {
				if o := s.owner[t]; o != None {
					owns[o] = append(owns[o], t)
				}
			}
			for m, tasks := range owns {
				for _, x := range slices.Backward(s.byScore(m, tasks)) {
					s.lists[m] = append(s.lists[m], held{x, i})
				}
			}
		}
	}
	return s.lists[m]
}

// keepLight returns what a member gives back if it keeps light tasks first, as far as they fit into the limit. The
// result does not change when the member has given a part of it back.
func keepLight(s *search, list []held, _, limit int) []held {
	var back []held
	kept := 0
	for _, x := range slices.Backward(list) {
		if w := s.classes[x.class].weight; kept+w <= limit {
			kept += w
		} else {
			back = append(back, x)
		}
	}
	return back
}

// giveHeavy returns what a member gives back if it gives heavy tasks first, and nothing that takes it below the limit.
// The result does not change when the member has given a part of it back.
func giveHeavy(s *search, list []held, load, limit int) []held {
	var back []held
	for _, x := range list {
		if w := s.classes[x.class].weight; load-w >= limit {
			load -= w
			back = append(back, x)
		}
	}
	return back
}

// place adds the loose tasks to p, each to the member with the highest score that has room for it below its limit. It
// reports whether there was room for all.
func (b *balancer) place(p plan, loose []held, limit []int) bool {
	all := true
	for _, x := range loose {
		c := b.classes[x.class]
		m := b.pick(x.hashed, c.open, func(m int) bool { return p.load[m]+c.weight <= limit[m] })
		if m == None {
			all = false
			continue
		}
		p.target[x.task] = m
		p.load[m] += c.weight
	}
	return all
}

// balanced reports whether no move of a single task would lower the higher of the two loads / capacity.
func (b *balancer) balanced(p plan) bool {
	has := make([]bool, len(b.capacity))
	for _, c := range b.classes {
		clear(has)
		for _, t := range c.tasks {
			if m := p.target[t]; m != None {
				has[m] = true
			}
		}
		for from := range has {
			if !has[from] {
				continue
			}
			for _, to := range c.open {
				with := uint64(p.load[to] + c.weight)
				if to != from && lessRatio(with, b.capacity[to], uint64(p.load[from]), b.capacity[from]) {
					return false
				}
			}
		}
	}
	return true
}
