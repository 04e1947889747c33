package assign

import (
	"cmp"
	"slices"
)

// A class is a set of tasks that have the same weight and are accepted by the same members.
type class struct {
	weight int
	tasks  []int
	open   []int // members that may own the tasks
}

// classes returns the classes, heaviest first: a light task fits where a heavy one does not. Among classes of the same
// weight, the class that fewer members accept comes first.
func (b *balancer) classes() []class {
	var everyone, choosy []int
	for m, c := range b.capacity {
		if c > 0 {
			everyone = append(everyone, m)
			if b.accepts[m] != nil {
				choosy = append(choosy, m)
			}
		}
	}
	type key struct {
		weight  int
		refused string
	}
	index := map[key]int{} // only looked up: the order of a map must not reach the result
	var list []class
	refused := make([]byte, (len(choosy)+7)/8)
	for t := range b.tasks {
		clear(refused)
		for i, m := range choosy {
			if !b.accepts[m](b.tasks[t].Name) {
				refused[i/8] |= 1 << (i % 8)
			}
		}
		w := b.weight(t)
		i := len(list) - 1
		if i < 0 || len(choosy) > 0 || list[i].weight != w {
			k := key{w, string(refused)}
			var ok bool
			if i, ok = index[k]; !ok {
				i = len(list)
				index[k] = i
				list = append(list, class{weight: w, open: without(everyone, choosy, refused)})
			}
		}
		list[i].tasks = append(list[i].tasks, t)
	}
	slices.SortFunc(list, func(x, y class) int {
		return cmp.Or(cmp.Compare(y.weight, x.weight), cmp.Compare(len(x.open), len(y.open)),
			cmp.Compare(x.tasks[0], y.tasks[0]))
	})
	return list
}

// without returns the members of everyone that do not refuse. Bit i of refused belongs to choosy[i].
func without(everyone, choosy []int, refused []byte) []int {
	if len(choosy) == 0 {
		return everyone
	}
	var open []int
	i := 0
	for _, m := range everyone {
		if i < len(choosy) && choosy[i] == m {
			refuses := refused[i/8]&(1<<(i%8)) != 0
			i++
			if refuses {
				continue
			}
		}
		open = append(open, m)
	}
	return open
}

// settle decides the tasks of one class. The classes before it are decided.
func (b *balancer) settle(c class) {
	members := len(b.capacity)
	own, open := make([]int, members), make([]bool, members)
	for _, m := range c.open {
		open[m] = true
	}
	for _, t := range c.tasks {
		if m := b.owner[t]; m >= 0 && m < members && open[m] {
			own[m]++
		}
	}
	quota := b.quotas(c, own)
	var loose []byHash // tasks without an owner that keeps them
	for _, t := range c.tasks {
		switch m := b.owner[t]; {
		case m < 0 || m >= members || !open[m]:
			loose = append(loose, byHash{hashName(b.tasks[t].Name), t})
		case own[m] > quota[m]:
			b.held[m] = append(b.held[m], t)
		default:
			b.target[t] = m
		}
	}
	for _, m := range c.open {
		if own[m] > quota[m] {
			loose = append(loose, b.giveBack(m, quota[m])...)
			own[m] = quota[m]
		}
	}
	slices.SortFunc(loose, byHash.compare)
	for _, x := range loose {
		if m := b.pick(x.hash, c.open, own, quota); m != None {
			b.target[x.index] = m
			own[m]++
		}
	}
	for _, m := range c.open {
		b.load[m] += own[m] * c.weight
	}
}

// giveBack lets member m keep as many tasks of b.held[m] as its quota says. It keeps those with the highest score, and
// returns the others.
func (b *balancer) giveBack(m, quota int) []byHash {
	type ranked struct {
		task  byHash
		score uint64
	}
	all := make([]ranked, 0, len(b.held[m]))
	for _, t := range b.held[m] {
		h := hashName(b.tasks[t].Name)
		all = append(all, ranked{byHash{h, t}, pairHash(h, b.hash[m])})
	}
	b.held[m] = b.held[m][:0]
	slices.SortFunc(all, func(x, y ranked) int {
		return cmp.Or(cmp.Compare(y.score, x.score), x.task.compare(y.task))
	})
	var back []byHash
	for i, r := range all {
		if i < quota {
			b.target[r.task.index] = m
		} else {
			back = append(back, r.task)
		}
	}
	return back
}

// pick returns the member that has the highest score for the task with the given hash, among those that own less than
// their quota. It returns None if there is none.
func (b *balancer) pick(task uint64, open, own, quota []int) int {
	best, bestDistance := None, uint64(0)
	for _, m := range open {
		if own[m] >= quota[m] {
			continue
		}
		d := distance(pairHash(task, b.hash[m]))
		if best == None || lessRatio(d, uint64(b.capacity[m]), bestDistance, uint64(b.capacity[best])) {
			best, bestDistance = m, d
		}
	}
	return best
}
