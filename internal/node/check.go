package node

import (
	"fmt"

	"tenure/internal/clock"
)

// maybeCheck calls check after every Apply. In a large node it calls check less often, so that checking takes a
// constant share of the time. It does nothing unless the build tag race or invariants is set.
func (n *Node) maybeCheck() {
	if !invariants {
		return
	}
	n.applied++
	if size := len(n.sessions) + len(n.links) + len(n.semaphores); n.applied%uint64(1+size/100) == 0 {
		n.check()
	}
}

// check panics if an invariant of Node does not hold. The panic names the invariant.
func (n *Node) check() {
	data, text := 0, 0
	links, orderIDs := 0, make(map[uint64]bool, len(n.links))
	for name, s := range n.semaphores {
		must(name == s.name && s.id <= n.last.semaphore, "I9", name)
		must(!s.ephemeral || !s.queue.empty(), "I7", name)
		links += n.checkQueue(s, orderIDs)
		data += len(s.name) + len(s.data) + s.queue.owners.bytes + s.queue.waiters.bytes
		for _, watches := range []map[*session]*watch{s.dataWatches, s.ownerWatches} {
			must(watches == nil || len(watches) > 0, "I8", name)
			for session, w := range watches {
				must(session.watches[s] == w && session.stream != 0, "I8", name)
			}
		}
	}
	must(links == len(n.links), "I4", links)
	must(data == n.data, "I11", data)

	attached, timed := 0, 0
	for id, s := range n.sessions {
		must(id == s.id && id <= n.last.session, "I9", id)
		text += len(s.description) + len(s.key)
		must(s.deadline.set() == (s.stream == 0), "I5", id)
		if s.stream != 0 {
			attached++
			must(n.streams[s.stream] == s, "I5", id)
		}
		for l := s.links; l != nil; l = l.older {
			links--
			must(l.session == s && n.links[l.key()] == l, "I4", l.key())
		}
		for sem, w := range s.watches {
			must(sem.dataWatches[s] == w || sem.ownerWatches[s] == w, "I8", id)
			must(n.semaphores[sem.name] == sem, "I8", id)
		}
	}
	must(links == 0, "I4", links)
	must(text == n.text, "I11", text)
	n.checkAges()
	must(attached == len(n.streams), "I5", attached)
	for i, d := range n.deadlines.heap {
		must(d.pos == i+1, "I5", i)
		must(i == 0 || n.deadlines.heap[(i-1)/2].compare(d) < 0, "I5", i)
		if d.link != nil {
			timed++
			must(n.links[d.link.key()] == d.link, "I6", d.link.key())
		}
	}
	must(len(n.deadlines.heap) == len(n.sessions)-attached+timed, "I5", timed)
}

// checkQueue checks the queue of a semaphore and returns its length.
func (n *Node) checkQueue(s *semaphore, orderIDs map[uint64]bool) (length int) {
	var held, last uint64
	waiting := false
	var owners, waiters crowd
	for l := s.queue.first; l != nil; l = l.behind {
		length++
		must(l.semaphore == s && n.links[l.key()] == l, "I4", l.key())
		must(l.orderID > last && !orderIDs[l.orderID], "I2", l.key())
		last, orderIDs[l.orderID] = l.orderID, true
		waiting = waiting || l == s.queue.waiting
		must(l.owner == !waiting, "I2", l.key())
		must(l.deadline.set() == (waiting && l.timeoutMillis != Forever), "I6", l.key())
		if l.owner {
			held += l.count
			must(held >= l.count, "I1", s.name)
			owners.add(1, len(l.data))
		} else {
			waiters.add(1, len(l.data))
		}
	}
	must(owners == s.queue.owners && waiters == s.queue.waiters, "I11", s.name)
	must(last <= n.last.order, "I9", s.name)
	must(held == s.queue.held && held <= s.limit, "I1", s.name)
	if w := s.queue.waiting; w != nil {
		must(waiting && (w.count > s.limit-held || n.frozen && held == 0), "I3", s.name)
	}

	return length
}

// checkAges checks the lists of ages (I10).
func (n *Node) checkAges() {
	owners, absent := 0, 0
	for _, l := range n.links {
		must(l.age.listed, "I10", l.key())
		if l.owner {
			owners++
		}
	}
	for _, s := range n.sessions {
		must(s.age.listed == (s.stream == 0 && s.owned > 0), "I10", s.id)
		if s.age.listed {
			absent++
		}
		owned := 0
		for l := s.links; l != nil; l = l.older {
			if l.owner {
				owned++
			}
		}
		must(s.owned == owned, "I10", s.id)
		owners -= owned
	}
	must(owners == 0, "I10", owners)
	for list, want := range map[*ages]int{
		&n.waits: len(n.links) - n.holds.length, &n.holds: n.holds.length, &n.absent: absent,
	} {
		last, length := clock.Instant(-1<<63), 0
		for a := list.first; a != nil; a = a.next {
			must(a.at >= last && (a.link == nil) == (list == &n.absent), "I10", a.at)
			must(a.link == nil || a.link.owner == (list == &n.holds), "I10", a.at)
			last = a.at
			length++
		}
		must(length == want && length == list.length, "I10", want)
	}
}

func must(ok bool, invariant string, where any) {
	if !ok {
		panic(fmt.Sprintf("node: invariant %s does not hold: %v", invariant, where))
	}
}
