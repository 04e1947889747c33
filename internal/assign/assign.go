package assign

import "slices"

// None is the owner of a task that no member owns or gets.
const None = -1

// maxUnits is the highest weight and the highest capacity. The bound keeps the sums within an int.
const maxUnits = 1 << 30

// A Task is a task of the pool.
type Task struct {
	Name   string
	Weight int // share of a member's capacity that the task uses; below 1 counts as 1, above 1<<30 as 1<<30
}

// A Member is a worker of the pool.
type Member struct {
	Name     string
	Capacity int                    // highest sum of the weights of its tasks, at most 1<<30; 0: the member only watches
	Leaving  bool                   // the member gets nothing, and all of its tasks go to other members
	Accepts  func(task string) bool // whether the member may own the task; nil: it may own every task
}

// Balance returns, for each task, the index of the member that should own it, or None. owner holds, for each task, the
// index of the member that owns it now. None and every index that is not one of a member mean that the task is free.
//
// The tasks must be sorted by name, and so must the members. Names must be unique. Accepts must depend on nothing but
// the name of the task. Balance does not change its arguments. It is safe for concurrent use if the Accepts are.
func Balance(tasks []Task, members []Member, owner []int) []int {
	b := newBalancer(tasks, members, owner)
	if b.mixed() {
		return b.repeat()
	}
	p := b.levelled()
	b.keepOwned(p)
	return p.target
}

// Unassigned returns the indices of the tasks that have no owner in target, in ascending order.
func Unassigned(target []int) []int {
	var none []int
	for t, m := range target {
		if m == None {
			none = append(none, t)
		}
	}
	return none
}

// A balancer is one run of Balance. Only own changes its fields.
type balancer struct {
	tasks    []Task
	owner    []int // by task; None if the task is free or must leave its owner
	capacity []int // by member; 0 if the member must not own a task
	accepts  []func(string) bool
	hash     []uint64 // by member: hash of its name
	owned    []int    // by member: sum of the weights of the tasks that it owns and may keep
	total    int      // sum of the weights of all tasks
	classes  []class
}

func newBalancer(tasks []Task, members []Member, owner []int) *balancer {
	b := &balancer{
		tasks:    tasks,
		owner:    make([]int, len(tasks)),
		capacity: make([]int, len(members)),
		accepts:  make([]func(string) bool, len(members)),
		hash:     make([]uint64, len(members)),
		owned:    make([]int, len(members)),
	}
	for m, x := range members {
		b.hash[m] = hashName(x.Name)
		b.accepts[m] = x.Accepts
		if !x.Leaving {
			b.capacity[m] = min(max(x.Capacity, 0), maxUnits)
		}
	}
	b.classes = b.classify()
	for _, c := range b.classes {
		b.total += c.weight * len(c.tasks)
	}
	b.own(owner)
	return b
}

// own sets the owners of the tasks, except for those that may not keep a task.
func (b *balancer) own(owner []int) {
	clear(b.owned)
	open := make([]bool, len(b.capacity))
	for _, c := range b.classes {
		clear(open)
		for _, m := range c.open {
			open[m] = true
		}
		for _, t := range c.tasks {
			b.owner[t] = None
			if m := owner[t]; m >= 0 && m < len(open) && open[m] {
				b.owner[t] = m
				b.owned[m] += c.weight
			}
		}
	}
}

func (b *balancer) weight(t int) int { return min(max(b.tasks[t].Weight, 1), maxUnits) }

// mixed reports whether there are tasks of different weights.
func (b *balancer) mixed() bool {
	return len(b.classes) > 0 && b.classes[0].weight != b.classes[len(b.classes)-1].weight
}

// A plan is a target with the load of each member in it.
type plan struct {
	target []int // by task
	load   []int // by member: sum of the weights of its tasks
}

func (b *balancer) newPlan() plan {
	p := plan{target: make([]int, len(b.tasks)), load: make([]int, len(b.capacity))}
	for t := range p.target {
		p.target[t] = None
	}
	return p
}

// complete reports whether each task has a member.
func (p plan) complete() bool { return !slices.Contains(p.target, None) }

// moves returns how many tasks leave an owner that may keep them.
func (b *balancer) moves(p plan) int {
	n := 0
	for t, m := range b.owner {
		if m != None && m != p.target[t] {
			n++
		}
	}
	return n
}
