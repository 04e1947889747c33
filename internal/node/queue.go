package node

// queue holds the links of a semaphore by order id. The links ahead of waiting are the owners. Records need not say
// which links own the semaphore, because that follows from the limit, the counts and the order ids (Q9, Q10).
type queue struct {
	first, last *link
	waiting     *link  // the first waiter; nil if there is none
	held        uint64 // the sum of the owners' counts

	owners, waiters crowd
	seen            view
}

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
	q.seen = view{}
}

func (q *queue) empty() bool { return q.first == nil }

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
	q.seen = view{}
}

func (q *queue) remove(l *link) {
	q.part(l).add(-1, -len(l.data))
	q.seen = view{}
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
	q.seen = view{}

	return l
}
