package node

import "tenure/internal/clock"

// age is an element of ages: a link that waits, a link that owns, or a detached session that owns something.
type age struct {
	at         clock.Instant // when it was added to the list
	since      uint64        // of a link: when it joined the queue, in milliseconds since 1970; 0: unknown
	link       *link         // nil for a session
	prev, next *age
}

// ages is a list, oldest first. It tells the oldest waiter and owner of a large node without looking at the others.
type ages struct {
	first, last *age
	length      int
}

// push adds an element at the instant, which is not before that of any other element.
func (as *ages) push(a *age, at clock.Instant) {
	a.at = at
	a.prev, a.next = as.last, nil
	if as.last != nil {
		as.last.next = a
	} else {
		as.first = a
	}
	as.last = a
	as.length++
}

// has reports whether the element, which is in no other list, is in this one.
func (as *ages) has(a *age) bool { return a.prev != nil || a.next != nil || as.first == a }

// remove removes an element. It does nothing if the element is in no list.
func (as *ages) remove(a *age) {
	if !as.has(a) {
		return
	}
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		as.first = a.next
	}
	if a.next != nil {
		a.next.prev = a.prev
	} else {
		as.last = a.prev
	}
	a.prev, a.next = nil, nil
	as.length--
}

// granted moves a link that has become an owner to the list of owners.
func (n *Node) granted(l *link) {
	n.waits.remove(&l.age)
	n.holds.push(&l.age, n.now)
	l.session.owned++
	n.absence(l.session)
}

// absence adds a detached session to the list of those that own something, or removes it, as its state demands.
func (n *Node) absence(s *session) {
	switch owning := s.stream == 0 && s.owned > 0; {
	case owning && !n.absent.has(&s.age):
		n.absent.push(&s.age, n.now)
	case !owning:
		n.absent.remove(&s.age)
	}
}
