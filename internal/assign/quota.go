package assign

import (
	"cmp"
	"math/bits"
	"slices"
)

// quotas returns, by member, how many tasks of the class each member should own. own is the number that it owns now.
//
// A member's quota is what fits into its share. Tasks for which there is no room in the shares go one by one to the
// member that has the lowest load / capacity with the task. If several members have the same, the member that owns the
// task already gets it, then the member with the lowest hash.
//
// The order matters for tasks on the move: quotas must not change when a member gives back a task above its quota, or
// gets one below it. So the only thing that counts about own is whether the member owns the task in question. How much
// more it owns does not.
func (b *balancer) quotas(c class, own []int) []int {
	quota := b.shares()
	left := len(c.tasks)
	for m := range quota {
		quota[m] = max(quota[m]-b.load[m], 0) / c.weight
	}
	for _, m := range c.open {
		left -= quota[m]
	}
	if left <= 0 {
		return quota
	}
	h := bidders{b: b}
	for _, m := range c.open {
		h.bid(m, quota, own, c.weight)
	}
	h.init()
	for ; left > 0 && len(h.bids) > 0; left-- {
		m := h.bids[0].member
		quota[m]++
		h.renew(quota, own, c.weight)
	}
	return quota
}

// shares returns the load that each member should have when all tasks are decided: the decided ones, which are in
// b.load, and the rest. It levels load / capacity in units of weight 1. A member that has more than that keeps it.
// Units for which several members are in line with equal rights are left out.
func (b *balancer) shares() []int {
	free, load, capacity := 0, 0, 0
	var level []int // members that are not above the level
	for m, c := range b.capacity {
		if c > 0 {
			level = append(level, m)
			free += max(c-b.load[m], 0)
			load += b.load[m]
			capacity += c
		}
	}
	share := slices.Clone(b.load)
	rest := min(b.rest, free)
	// Members above the level (rest + load) / capacity have no part in it. Without them, the level falls.
	for {
		n := len(level)
		level = slices.DeleteFunc(level, func(m int) bool {
			return mulDiv(rest+load, b.capacity[m], capacity) < b.load[m]
		})
		if len(level) == n {
			break
		}
		load, capacity = 0, 0
		for _, m := range level {
			load += b.load[m]
			capacity += b.capacity[m]
		}
	}
	if capacity == 0 {
		return share
	}
	total := rest + load
	for _, m := range level {
		share[m] = mulDiv(total, b.capacity[m], capacity)
		rest -= share[m] - b.load[m]
	}
	h := bidders{b: b}
	base := slices.Clone(share)
	for m := range base {
		base[m] -= b.load[m]
	}
	for _, m := range level {
		h.bid(m, base, base, 1)
	}
	h.init()
	for rest > 0 && len(h.bids) > 0 {
		tied := h.tied()
		if len(tied) > rest {
			break
		}
		for _, m := range tied {
			share[m]++
			base[m]++
			h.bid(m, base, base, 1)
		}
		h.init()
		rest -= len(tied)
	}
	return share
}

// mulDiv returns a * b / c, for b at most c, or b and c such that the result is an int.
func mulDiv(a, b, c int) int {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int(q)
}

// A bid is a member that can take one more task.
type bid struct {
	member   int
	load     uint64 // with the task
	capacity uint64
	owned    bool // the member owns the task now
	hash     uint64
}

func (x bid) compareLevel(y bid) int {
	h1, l1 := bits.Mul64(x.load, y.capacity)
	h2, l2 := bits.Mul64(y.load, x.capacity)
	return cmp.Or(cmp.Compare(h1, h2), cmp.Compare(l1, l2))
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

// bidders is a sorted list of bids, best first.
type bidders struct {
	b    *balancer
	bids []bid
}

// bid adds a bid of member m, if it has the capacity.
func (h *bidders) bid(m int, quota, own []int, weight int) {
	load := h.b.load[m] + (quota[m]+1)*weight
	if load > h.b.capacity[m] {
		return
	}
	h.bids = append(h.bids, bid{
		member: m, load: uint64(load), capacity: uint64(h.b.capacity[m]),
		owned: own[m] > quota[m], hash: h.b.hash[m],
	})
}

func (h *bidders) init() { slices.SortFunc(h.bids, bid.compare) }

// renew replaces the first bid by the next one of its member.
func (h *bidders) renew(quota, own []int, weight int) {
	m := h.bids[0].member
	h.bids = slices.Delete(h.bids, 0, 1)
	n := len(h.bids)
	h.bid(m, quota, own, weight)
	if len(h.bids) == n {
		return
	}
	x := h.bids[n]
	at, _ := slices.BinarySearchFunc(h.bids[:n], x, bid.compare)
	copy(h.bids[at+1:], h.bids[at:n])
	h.bids[at] = x
}

// tied removes and returns the members whose bids are as low as the first one.
func (h *bidders) tied() []int {
	var tied []int
	first := h.bids[0]
	n := 0
	for n < len(h.bids) && h.bids[n].compareLevel(first) == 0 {
		tied = append(tied, h.bids[n].member)
		n++
	}
	h.bids = slices.Delete(h.bids, 0, n)
	return tied
}
