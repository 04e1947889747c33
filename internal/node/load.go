package node

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"tenure/internal/clock"
)

// Load builds a node from its records, which may come in any order. The instant lost is the last one at which a session
// can have been attached. From then on every session counts as detached, and has its timeout plus the grace period of
// cfg to come back. The timeouts of waiters start over at lost (A13). Load derives the owners from the records (Q10).
// Deadlines that have already passed take effect in the first call to Apply.
//
// If no node can have written these records together, the error wraps ErrDamaged. An error yielded by records is
// returned unchanged. Load keeps none of the slices.
func Load(lost clock.Instant, cfg Config, records iter.Seq2[Record, error]) (*Node, error) {
	l := loader{Node: New()}
	l.now, l.frozen = lost, cfg.Frozen
	l.last = counters{session: cfg.Above, order: cfg.Above}
	for r, err := range records {
		if err != nil {
			return nil, err
		}
		if err := l.add(r); err != nil {
			return nil, err
		}
	}
	if err := l.finish(cfg); err != nil {
		return nil, err
	}

	return l.Node, nil
}

// loader is a node that Load is still building. It collects the records first, so that it can make each map in its
// final size.
type loader struct {
	*Node
	counted bool
	lasting pile[*session]
	byID    pile[*semaphore]
	stored  pile[storedLink]
}

// storedLink is a link that has not joined its session and its semaphore.
type storedLink struct {
	session, semaphore uint64
	*link
}

// pile collects values without moving them.
type pile[T any] [][]T

func (p *pile[T]) add(v T) {
	const smallest, largest = 16, 16 << 10
	last := len(*p) - 1
	if last < 0 {
		*p, last = append(*p, make([]T, 0, smallest)), 0
	} else if n := len((*p)[last]); n == cap((*p)[last]) {
		*p, last = append(*p, make([]T, 0, min(2*n, largest))), last+1
	}
	(*p)[last] = append((*p)[last], v)
}

// sorted returns the values in order.
func (p *pile[T]) sorted(compare func(a, b T) int) []T {
	all := slices.Concat(*p...)
	*p = nil
	if !slices.IsSortedFunc(all, compare) {
		slices.SortFunc(all, compare)
	}

	return all
}

// sort puts the values in order. It moves them only if they are not.
func (p *pile[T]) sort(compare func(a, b T) int) {
	var last *T
	for _, part := range *p {
		if last != nil && compare(*last, part[0]) > 0 || !slices.IsSortedFunc(part, compare) {
			*p = pile[T]{p.sorted(compare)}

			return
		}
		last = &part[len(part)-1]
	}
}

// values yields the values.
func (p *pile[T]) values(yield func(T) bool) {
	for _, part := range *p {
		for _, v := range part {
			if !yield(v) {
				return
			}
		}
	}
}

func (l *loader) add(r Record) error {
	kind, ids, ok := splitKey(r.Key)
	if !ok {
		return fmt.Errorf("%w: unknown key %x", ErrDamaged, r.Key)
	}
	d := decode(r)
	var valid bool
	switch kind {
	case kindCounters:
		valid = !l.counted
		l.counted = true
		l.last = counters{d.uint(), d.uint(), d.uint()}
	case kindSession:
		valid = l.addSession(ids[0], &d)
	case kindSemaphore:
		valid = l.addSemaphore(ids[0], &d)
	case kindLink:
		valid = l.addLink(ids[0], ids[1], &d)
	}
	if err := d.end(); err != nil {
		return err
	}
	if !valid {
		return implausible(r.Key)
	}

	return nil
}

func implausible(key []byte) error {
	return fmt.Errorf("%w %x: value out of range or duplicate record", ErrDamaged, key)
}

// splitKey returns the kind of a key and the ids in it. It returns false if the key is malformed or an id is zero.
func splitKey(key []byte) (kind byte, ids [2]uint64, ok bool) {
	if len(key) == 0 {
		return 0, ids, false
	}
	n := 0
	switch key[0] {
	case kindCounters:
	case kindSession, kindSemaphore:
		n = 1
	case kindLink:
		n = 2
	default:
		return 0, ids, false
	}
	if len(key) != 1+8*n {
		return 0, ids, false
	}
	for i := range n {
		ids[i] = binary.BigEndian.Uint64(key[1+8*i:])
		if ids[i] == 0 {
			return 0, ids, false
		}
	}

	return key[0], ids, true
}

func (l *loader) addSession(id uint64, d *decoder) bool {
	s := newSession(id)
	s.timeoutMillis, s.description, s.key = d.uint(), d.string(), d.string()
	l.text += len(s.description) + len(s.key)
	l.lasting.add(s)

	return s.timeoutMillis <= maxSessionTimeout && len(s.description) <= maxDescriptionSize &&
		len(s.key) <= maxKeySize
}

func (l *loader) addSemaphore(id uint64, d *decoder) bool {
	s := &semaphore{id: id, name: d.string(), limit: d.uint()}
	ephemeral := d.uint()
	s.ephemeral, s.data = ephemeral == 1, d.bytes()
	l.data += len(s.name) + len(s.data)
	l.byID.add(s)

	return len(s.name) <= maxNameSize && s.limit > 0 && ephemeral <= 1 &&
		(!s.ephemeral || s.limit == maxSemaphoreLimit) && len(s.data) <= maxDataSize
}

func (l *loader) addLink(session, semaphore uint64, d *decoder) bool {
	s := &link{orderID: d.uint(), count: d.uint(), timeoutMillis: d.uint(), data: d.bytes(), loaded: true}
	dated := len(d.rest) > 0 // older records have no date
	if dated {
		s.age.since = d.uint()
	}
	l.stored.add(storedLink{session, semaphore, s})

	return dated == (s.age.since > 0) && s.orderID > 0 && s.count > 0 && len(s.data) <= maxDataSize &&
		(s.timeoutMillis <= maxAcquireTimeout || s.timeoutMillis == Forever)
}

// finish connects the records. It adds the links to their queues by order id, grants those that fit, and starts the
// deadlines.
func (l *loader) finish(cfg Config) error {
	sessions := l.lasting.sorted(func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	semaphores := l.byID.sorted(func(a, b *semaphore) int { return cmp.Compare(a.id, b.id) })
	if err := l.index(sessions, semaphores); err != nil {
		return err
	}
	if err := l.connect(semaphores); err != nil {
		return err
	}
	for _, s := range semaphores {
		if s.ephemeral && s.queue.empty() {
			return fmt.Errorf("%w: ephemeral semaphore %d has no links", ErrDamaged, s.id)
		}
		if err := l.resume(s); err != nil {
			return err
		}
	}
	for _, s := range sessions {
		l.deadlines.start(&s.deadline, l.now.Add(millis(s.timeoutMillis)+cfg.Grace()))
	}
	l.maybeCheck()

	return nil
}

// index fills the maps with the sessions and semaphores, which are in order of their ids.
func (l *loader) index(sessions []*session, semaphores []*semaphore) error {
	l.sessions = make(map[uint64]*session, len(sessions))
	for i, s := range sessions {
		if i > 0 && s.id == sessions[i-1].id {
			return implausible(sessionKey(s.id))
		}
		l.sessions[s.id] = s
	}
	if n := len(sessions); n > 0 && sessions[n-1].id > l.last.session {
		return fmt.Errorf("%w: session id %d is above the counter", ErrDamaged, sessions[n-1].id)
	}
	l.semaphores = make(map[string]*semaphore, len(semaphores))
	for i, s := range semaphores {
		if i > 0 && s.id == semaphores[i-1].id {
			return implausible(semaphoreKey(s.id))
		}
		l.semaphores[s.name] = s
		if len(l.semaphores) <= i { // another one has the name
			return implausible(semaphoreKey(s.id))
		}
	}
	if n := len(semaphores); n > 0 && semaphores[n-1].id > l.last.semaphore {
		return fmt.Errorf("%w: semaphore id %d is above the counter", ErrDamaged, semaphores[n-1].id)
	}

	return nil
}

// connect adds the links to their sessions and semaphores. The semaphores are in order of their ids.
func (l *loader) connect(semaphores []*semaphore) error {
	l.stored.sort(func(a, b storedLink) int { return cmp.Compare(a.orderID, b.orderID) })
	defer func() { l.stored = nil }()
	next := 0         // links are often in the order of their semaphores
	last := uint64(0) // order id
	for s := range l.stored.values {
		if s.orderID == last {
			return fmt.Errorf("%w: duplicate order id %d", ErrDamaged, s.orderID)
		}
		last = s.orderID
		if next == len(semaphores) || semaphores[next].id != s.semaphore {
			next, _ = slices.BinarySearchFunc(semaphores, s.semaphore, func(s *semaphore, id uint64) int {
				return cmp.Compare(s.id, id)
			})
		}
		var sem *semaphore
		if next < len(semaphores) && semaphores[next].id == s.semaphore {
			sem = semaphores[next]
			next++
		}
		if err := l.link(s, sem); err != nil {
			return err
		}
	}
	if last > l.last.order {
		return fmt.Errorf("%w: order id %d is above the counter", ErrDamaged, last)
	}

	return nil
}

func (l *loader) link(stored storedLink, sem *semaphore) error {
	s := l.sessions[stored.session]
	switch {
	case s == nil || sem == nil:
		return fmt.Errorf("%w: link of session %d and semaphore %d: one of the two is missing", ErrDamaged,
			stored.session, stored.semaphore)
	case sem.queue.of(s) != nil:
		return fmt.Errorf("%w: link of session %d and semaphore %d: duplicate", ErrDamaged, s.id, sem.id)
	case stored.count > sem.limit:
		return fmt.Errorf("%w: link of session %d and semaphore %d: count is above the limit", ErrDamaged, s.id, sem.id)
	}
	l.join(stored.link, s, sem)
	l.data += len(stored.link.data)
	l.waits.push(&stored.age, l.now) // by order id, so the oldest is first; resume moves the owners

	return nil
}

// resume restores the owners of a semaphore (Q10) and starts the timers of its waiters.
func (l *loader) resume(s *semaphore) error {
	for o := l.promote(s); o != nil; o = l.promote(s) {
		l.granted(o)
	}
	for w := s.queue.waiting; w != nil; w = w.behind {
		if w.timeoutMillis == 0 {
			return fmt.Errorf("%w: waiter with order id %d has timeout 0", ErrDamaged, w.orderID)
		}
		l.startTimer(w)
	}

	return nil
}
