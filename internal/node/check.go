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
	if size := len(n.sessions) + n.links + len(n.semaphores); n.applied%uint64(1+size/100) == 0 {
		n.check()
	}
}

// check panics if an invariant of Node does not hold. The panic names the invariant.
func (n *Node) check() {
	data, text := 0, 0
	links, orderIDs := 0, make(map[uint64]bool, n.links)
	for name, s := range n.semaphores {
		must(name == s.name && s.id <= n.last.semaphore, "I9", name)
		must(!s.ephemeral || !s.queue.empty(), "I7", name)
		links += n.checkQueue(s, orderIDs)
		data += len(s.name) + len(s.data) + s.queue.owners.bytes + s.queue.waiters.bytes
		s.checkWatches()
	}
	must(links == n.links, "I4", links)
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
			must(l.session == s && l.semaphore.queue.of(s) == l, "I4", l.orderID)
		}
		for sem, w := range s.watches {
			must(sem.watches.data[s] == w || sem.watches.owners[s] == w, "I8", id)
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
			must(d.link.deadline == d && d.link.semaphore.queue.of(d.link.session) == d.link, "I6", d.link.orderID)
		}
	}
	must(len(n.deadlines.heap) == len(n.sessions)-attached+timed, "I5", timed)
}

// checkWatches checks the watches of a semaphore (I8).
func (s *semaphore) checkWatches() {
	if s.watches == nil {
		return
	}
	must(len(s.watches.data)+len(s.watches.owners) > 0, "I8", s.name)
	for _, watches := range []map[*session]*watch{s.watches.data, s.watches.owners} {
		must(watches == nil || len(watches) > 0, "I8", s.name)
		for session, w := range watches {
			must(session.watches[s] == w && session.stream != 0, "I8", s.name)
		}
	}
}

// checkQueue checks the queue of a semaphore and returns its length.
func (n *Node) checkQueue(s *semaphore, orderIDs map[uint64]bool) (length int) {
	var held, last uint64
	waiting := false
	var owners, waiters crowd
	for l := s.queue.first; l != nil; l = l.behind {
		length++
		must(l.semaphore == s && s.queue.of(l.session) == l, "I4", l.orderID)
		must(l.orderID > last && !orderIDs[l.orderID], "I2", l.orderID)
		last, orderIDs[l.orderID] = l.orderID, true
		waiting = waiting || l == s.queue.waiting
		must(l.owner == !waiting, "I2", l.orderID)
		must(l.deadline.set() == (waiting && l.timeoutMillis != Forever), "I6", l.orderID)
		must(l.deadline.set() == (l.deadline != nil), "I6", l.orderID)
		if l.owner {
			held += l.count
			must(held >= l.count, "I1", s.name)
			owners.add(1, len(l.data))
		} else {
			waiters.add(1, len(l.data))
		}
	}
	must(owners == s.queue.owners && waiters == s.queue.waiters, "I11", s.name)
	must(s.queue.long == nil || len(s.queue.long.index) == length, "I4", s.name)
	must(s.queue.long != nil || length <= shortQueue, "I4", s.name)
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
	for _, s := range n.semaphores {
		owners += s.queue.owners.number
	}
	for _, s := range n.sessions {
		must(n.absent.has(&s.age) == (s.stream == 0 && s.owned > 0), "I10", s.id)
		if n.absent.has(&s.age) {
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
		&n.waits: n.links - n.holds.length, &n.holds: n.holds.length, &n.absent: absent,
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
