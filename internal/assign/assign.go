package assign

import "cmp"

// None is the owner of a task that no member owns or gets.
const None = -1

// maxUnits is the highest weight and the highest capacity. A higher value counts as maxUnits. The bound keeps the sums
// of 1<<22 weights or capacities within an int64.
const maxUnits = 1 << 40

// A Task is a task of the pool.
type Task struct {
	Name   string
	Weight int // share of a member's capacity that the task uses, at least 1; a lower value counts as 1
}

// A Member is a worker of the pool.
type Member struct {
	Name     string
	Capacity int                    // highest sum of the weights of its tasks; 0: the member owns nothing and only watches
	Leaving  bool                   // the member gets nothing, and all of its tasks go to other members
	Accepts  func(task string) bool // whether the member may own the task; nil: it may own all tasks
}

// Balance returns, for each task, the index of the member that should own it, or None. owner holds, for each task, the
// index of the member that owns it now, or None; any other index that is not one of a member counts as None.
//
// The tasks and the members are sorted by name, and names are unique. Accepts must depend on nothing but the name of
// the task. Balance does not change its arguments, and is safe for concurrent use if the Accepts are.
func Balance(tasks []Task, members []Member, owner []int) []int {
	b := newBalancer(tasks, members, owner)
	for _, c := range b.classes() {
		b.settle(c)
		b.rest -= c.weight * len(c.tasks)
	}
	return b.target
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

// A balancer is one run of Balance.
type balancer struct {
	tasks    []Task
	owner    []int
	target   []int
	capacity []int    // by member; 0 if the member must not own a task
	load     []int    // by member: sum of the weights of the tasks that it has got in target
	hash     []uint64 // by member: hash of its name
	accepts  []func(string) bool
	rest     int // sum of the weights of the tasks of this class and those that follow
	held     [][]int
}

func newBalancer(tasks []Task, members []Member, owner []int) *balancer {
	b := &balancer{
		tasks: tasks, owner: owner,
		target:   make([]int, len(tasks)),
		capacity: make([]int, len(members)),
		load:     make([]int, len(members)),
		hash:     make([]uint64, len(members)),
		accepts:  make([]func(string) bool, len(members)),
		held:     make([][]int, len(members)),
	}
	for i, m := range members {
		b.hash[i] = hashName(m.Name)
		b.accepts[i] = m.Accepts
		if !m.Leaving {
			b.capacity[i] = min(max(m.Capacity, 0), maxUnits)
		}
	}
	for t := range tasks {
		b.target[t] = None
		b.rest += b.weight(t)
	}
	return b
}

func (b *balancer) weight(t int) int { return min(max(b.tasks[t].Weight, 1), maxUnits) }

// byHash orders members or tasks by hash, then by index. Indices follow the names, so that the order is the same
// everywhere.
type byHash struct {
	hash  uint64
	index int
}

func (x byHash) compare(y byHash) int {
	return cmp.Or(cmp.Compare(x.hash, y.hash), cmp.Compare(x.index, y.index))
}
