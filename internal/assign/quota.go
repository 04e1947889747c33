package assign

import (
	"cmp"
	"math/bits"
	"slices"
)

// quotas returns, by member, how many tasks of class c the member should own. load is the load by the classes before c,
// rest the sum of the weights of c and the classes that follow, and own the number of tasks of c that each member owns.
//
// A quota is what fits into the member's share. Tasks for which the shares have no room go one by one to the member
// that has the lowest load / capacity with the task. Of several such members, one that owns that many tasks already
// comes first, then the one with the lowest hash.
//
// Quotas must not change when a member gives back a task above its quota, or gets one below it. Therefore nothing about
// own matters but whether it reaches the number in question: a comparison of how much two members own would change.
func (b *balancer) quotas(load []int, c class, rest int, own []int) []int {
	quota := b.shares(load, rest)
	left := len(c.tasks)
	for m := range quota {
		quota[m] = (quota[m] - load[m]) / c.weight
	}
	for _, m := range c.open {
		left -= quota[m]
	}
	if left <= 0 {
		return quota
	}
	a := auction{balancer: b, load: load, quota: quota, own: own, weight: c.weight}
	for _, m := range c.open {
		a.bid(m)
	}
	for ; left > 0 && len(a.bids) > 0; left-- {
		m := a.bids[0].member
		a.bids = slices.Delete(a.bids, 0, 1)
		quota[m]++
		a.bid(m)
	}
	return quota
}

// shares returns the load that each member should have in the end: it has load now, and the members get rest units
// more. It levels load / capacity. A member above that level keeps what it has. If several members have an equal right
// to the last units, none of them gets one: the caller decides.
func (b *balancer) shares(load []int, rest int) []int {
	var below []int // members that are not above the level
	room := 0
	for m, c := range b.capacity {
		if c > 0 {
			below = append(below, m)
			room += c - load[m]
		}
	}
	rest = min(rest, room)
	sum, capacity := rest, 0
	for n := -1; n != len(below); { // without the members above it, the level falls
		n = len(below)
		sum, capacity = rest, 0
		for _, m := range below {
			sum += load[m]
			capacity += b.capacity[m]
		}
		below = slices.DeleteFunc(below, func(m int) bool { return mulDiv(sum, b.capacity[m], capacity) < load[m] })
	}
	share := slices.Clone(load)
	for _, m := range below {
		share[m] = mulDiv(sum, b.capacity[m], capacity)
		rest -= share[m] - load[m]
	}
	a := auction{balancer: b, load: make([]int, len(load)), quota: share, own: share, weight: 1}
	for _, m := range below {
		a.bid(m)
	}
	for rest > 0 && len(a.bids) > 0 {
		tied := 1
		for tied < len(a.bids) && a.bids[tied].compareLevel(a.bids[0]) == 0 {
			tied++
		}
		if tied > rest {
			break
		}
		rest -= tied
		for _, x := range slices.Clone(a.bids[:tied]) {
			a.bids = slices.Delete(a.bids, 0, 1)
			share[x.member]++
			a.bid(x.member)
		}
	}
	return share
}

// An auction gives tasks of one weight to members one by one.
type auction struct {
	*balancer
	load   []int // by member: load without the tasks of the auction
	quota  []int // by member: number of tasks that it has got
	own    []int // by member: number of tasks that it owns now
	weight int
	bids   []bid // best first
}

// A bid is a member that has the capacity for one more task.
type bid struct {
	member   int
	load     int // with the task
	capacity int
	owned    bool // the member owns that many tasks now
	hash     uint64
}

// bid adds the bid of member m, if it has the capacity.
func (a *auction) bid(m int) {
	x := bid{
		member: m, load: a.load[m] + (a.quota[m]+1)*a.weight, capacity: a.capacity[m],
		owned: a.own[m] > a.quota[m], hash: a.hash[m],
	}
	if x.load > x.capacity {
		return
	}
	at, _ := slices.BinarySearchFunc(a.bids, x, bid.compare)
	a.bids = slices.Insert(a.bids, at, x)
}

func (x bid) compareLevel(y bid) int {
	switch {
	case lessRatio(uint64(x.load), x.capacity, uint64(y.load), y.capacity):
		return -1
	case lessRatio(uint64(y.load), y.capacity, uint64(x.load), x.capacity):
		return 1
	default:
		return 0
	}
}

func (x bid) compare(y bid) int {
	if c := x.compareLevel(y); c != 0 {
		return c
	}
	if x.owned != y.owned {
		if x.owned {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(x.hash, y.hash), cmp.Compare(x.member, y.member))
}

// mulDiv returns a * b / c, rounded down. The result must be an int.
func mulDiv(a, b, c int) int {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int(q)
}

// lessRatio reports whether a/b < c/d, for b and d above 0.
func lessRatio(a uint64, b int, c uint64, d int) bool {
	h1, l1 := bits.Mul64(a, uint64(d))
	h2, l2 := bits.Mul64(c, uint64(b))
	return h1 < h2 || h1 == h2 && l1 < l2
}
