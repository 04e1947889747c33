package node

// queue holds the links of a semaphore by order id. The links ahead of waiting are the owners. Records need not say
// which links own the semaphore, because that follows from the limit, the counts and the order ids (Q9, Q10).
type queue struct {
	first, last *link
	waiting     *link  // the first waiter; nil if there is none
	held        uint64 // the sum of the owners' counts

	owners, waiters crowd
	long            *long // nil for a short queue
}

// long is what a long queue has in addition.
type long struct {
	index map[*session]*link // all links of the queue
	seen  view
}

// shortQueue is the length up to which a queue is searched link by link. A queue that has been longer keeps its index
// until it is half as long, so that the index is not made again and again.
const shortQueue = 8

// crowd is the size of a part of a queue.
type crowd struct{ number, bytes int } // bytes of the links' data

func (c *crowd) add(number, bytes int) {
	c.number += number
	c.bytes += bytes
}

// view holds the links as a description shows them. Descriptions share it until the queue changes. A nil slice has not
// been made yet.
type view struct{ owners, waiters []Holder }

// part returns the part of the queue that the link belongs to.
func (q *queue) part(l *link) *crowd {
	if l.owner {
		return &q.owners
	}

	return &q.waiters
}

// setData changes the data of a link in the queue.
func (q *queue) setData(l *link, data []byte) {
	q.part(l).add(0, len(data)-len(l.data))
	l.data = data
	q.changed()
}

func (q *queue) empty() bool { return q.first == nil }

func (q *queue) length() int { return q.owners.number + q.waiters.number }

// of returns the session's link in the queue, or nil.
func (q *queue) of(s *session) *link {
	if q.long != nil {
		return q.long.index[s]
	}
	for l := q.first; l != nil; l = l.behind {
		if l.session == s {
			return l
		}
	}

	return nil
}

// changed forgets what descriptions have seen.
func (q *queue) changed() {
	if q.long != nil {
		q.long.seen = view{}
	}
}

// resized makes or drops the index after l was added or removed.
func (q *queue) resized() {
	switch n := q.length(); {
	case q.long == nil && n > shortQueue:
		q.long = &long{index: make(map[*session]*link)}
		for l := q.first; l != nil; l = l.behind {
			q.long.index[l.session] = l
		}
	case q.long != nil && n <= shortQueue/2:
		q.long = nil
	}
}

// push adds a waiter to the end of the queue. Its order id is above all others in the queue.
func (q *queue) push(l *link) {
	if l.ahead = q.last; l.ahead == nil {
		q.first = l
	} else {
		l.ahead.behind = l
	}
	q.last = l
	if q.waiting == nil {
		q.waiting = l
	}
	q.waiters.add(1, len(l.data))
	q.changed()
	if q.long != nil {
		q.long.index[l.session] = l
	} else {
		q.resized()
	}
}

func (q *queue) remove(l *link) {
	q.part(l).add(-1, -len(l.data))
	q.changed()
	if q.long != nil {
		delete(q.long.index, l.session)
		q.resized()
	}
	if l.owner {
		q.held -= l.count
	}
	if q.waiting == l {
		q.waiting = l.behind
	}
	if l.ahead != nil {
		l.ahead.behind = l.behind
	} else {
		q.first = l.behind
	}
	if l.behind != nil {
		l.behind.ahead = l.ahead
	} else {
		q.last = l.ahead
	}
}

// promote makes the first waiter an owner and returns it. It returns nil if there is no waiter or if the count of the
// first one does not fit (Q9).
func (q *queue) promote(limit uint64) *link {
	l := q.waiting
	if l == nil || l.count > limit-q.held {
		return nil
	}
	q.waiting = l.behind
	q.held += l.count
	q.waiters.add(-1, -len(l.data))
	l.owner = true
	q.owners.add(1, len(l.data))
	q.changed()

	return l
}
