package assign

import (
	"cmp"
	"slices"
)

// A class is a set of tasks that have the same weight and are accepted by the same members.
type class struct {
	weight int
	tasks  []int // ascending
	open   []int // members that may own the tasks, ascending
}

// classify returns the classes, heaviest first: a light task fits where a heavy one does not. Among classes of the same
// weight, the class that fewer members accept comes first, for the same reason.
func (b *balancer) classify() []class {
	var able, choosy []int
	for m, c := range b.capacity {
		if c > 0 {
			able = append(able, m)
			if b.accepts[m] != nil {
				choosy = append(choosy, m)
			}
		}
	}
	type key struct {
		weight  int
		refused string
	}
	index := map[key]int{} // for look-ups only: the order of a map must not reach the result
	var list []class
	refused := make([]byte, (len(choosy)+7)/8) // bit i belongs to choosy[i]
	for t := range b.tasks {
		clear(refused)
		for i, m := range choosy {
			if !b.accepts[m](b.tasks[t].Name) {
				refused[i/8] |= 1 << (i % 8)
			}
		}
		w, at := b.weight(t), len(list)-1
		if at < 0 || len(choosy) > 0 || list[at].weight != w {
			k := key{w, string(refused)}
			i, ok := index[k]
			if !ok {
				i = len(list)
				index[k] = i
				list = append(list, class{weight: w, open: without(able, choosy, refused)})
			}
			at = i
		}
		list[at].tasks = append(list[at].tasks, t)
	}
	slices.SortFunc(list, func(x, y class) int {
		return cmp.Or(cmp.Compare(y.weight, x.weight), cmp.Compare(len(x.open), len(y.open)),
			cmp.Compare(x.tasks[0], y.tasks[0]))
	})
	return list
}

// without returns the members of able that do not refuse.
func without(able, choosy []int, refused []byte) []int {
	if len(choosy) == 0 {
		return able
	}
	var open []int
	i := 0
	for _, m := range able {
		refuses := false
		if i < len(choosy) && choosy[i] == m {
			refuses = refused[i/8]&(1<<(i%8)) != 0
			i++
		}
		if !refuses {
			open = append(open, m)
		}
	}
	return open
}
