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
	l := loader{Node: New(), byID: make(map[uint64]*semaphore)}
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

// loader is a node that Load is still building.
type loader struct {
	*Node
	counted bool
	byID    map[uint64]*semaphore
	stored  []storedLink
}

type storedLink struct {
	session, semaphore uint64
	orderID            uint64
	count              uint64
	timeoutMillis      uint64
	data               []byte
	since              uint64
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
		valid = l.addSession(ids[0], d)
	case kindSemaphore:
		valid = l.addSemaphore(ids[0], d)
	case kindLink:
		valid = l.addLink(ids[0], ids[1], d)
	}
	if err := d.end(); err != nil {
		return err
	}
	if !valid {
		return fmt.Errorf("%w %x: value out of range or duplicate record", ErrDamaged, r.Key)
	}

	return nil
}

// splitKey returns the kind of a key and the ids in it. It returns false if the key is malformed or an id is zero.
func splitKey(key []byte) (kind byte, ids [2]uint64, ok bool) {
	if len(key) == 0 {
		return 0, ids, false
	}
	n, known := map[byte]int{kindCounters: 0, kindSession: 1, kindSemaphore: 1, kindLink: 2}[key[0]]
	if !known || len(key) != 1+8*n {
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
	twice := l.sessions[id] != nil
	l.sessions[id] = s

	return !twice && s.timeoutMillis <= maxSessionTimeout && len(s.description) <= maxDescriptionSize &&
		len(s.key) <= maxKeySize
}

func (l *loader) addSemaphore(id uint64, d *decoder) bool {
	s := &semaphore{id: id, name: d.string(), limit: d.uint()}
	ephemeral := d.uint()
	s.ephemeral, s.data = ephemeral == 1, d.bytes()
	l.data += len(s.name) + len(s.data)
	twice := l.byID[id] != nil || l.semaphores[s.name] != nil
	l.byID[id], l.semaphores[s.name] = s, s

	return !twice && len(s.name) <= maxNameSize && s.limit > 0 && ephemeral <= 1 &&
		(!s.ephemeral || s.limit == maxSemaphoreLimit) && len(s.data) <= maxDataSize
}

func (l *loader) addLink(session, semaphore uint64, d *decoder) bool {
	s := storedLink{session, semaphore, d.uint(), d.uint(), d.uint(), d.bytes(), 0}
	dated := len(d.rest) > 0 // older records have no date
	if dated {
		s.since = d.uint()
	}
	l.stored = append(l.stored, s)

	return dated == (s.since > 0) && s.orderID > 0 && s.count > 0 && len(s.data) <= maxDataSize &&
		(s.timeoutMillis <= maxAcquireTimeout || s.timeoutMillis == Forever)
}

// finish connects the records. It adds the links to their queues by order id, grants those that fit, and starts the
// deadlines.
func (l *loader) finish(cfg Config) error {
	slices.SortFunc(l.stored, func(a, b storedLink) int { return cmp.Compare(a.orderID, b.orderID) })
	for i, s := range l.stored {
		if i > 0 && s.orderID == l.stored[i-1].orderID {
			return fmt.Errorf("%w: duplicate order id %d", ErrDamaged, s.orderID)
		}
		if err := l.link(s); err != nil {
			return err
		}
	}
	if n := len(l.stored); n > 0 && l.stored[n-1].orderID > l.last.order {
		return fmt.Errorf("%w: order id %d is above the counter", ErrDamaged, l.stored[n-1].orderID)
	}
	for id, s := range l.byID {
		if id > l.last.semaphore {
			return fmt.Errorf("%w: semaphore id %d is above the counter", ErrDamaged, id)
		}
		if s.ephemeral && s.queue.empty() {
			return fmt.Errorf("%w: ephemeral semaphore %d has no links", ErrDamaged, id)
		}
		if err := l.resume(s); err != nil {
			return err
		}
	}
	for id, s := range l.sessions {
		if id > l.last.session {
			return fmt.Errorf("%w: session id %d is above the counter", ErrDamaged, id)
		}
		l.deadlines.start(&s.deadline, l.now.Add(millis(s.timeoutMillis)+cfg.Grace()))
	}
	l.maybeCheck()

	return nil
}

func (l *loader) link(stored storedLink) error {
	s, sem := l.sessions[stored.session], l.byID[stored.semaphore]
	switch {
	case s == nil || sem == nil:
		return fmt.Errorf("%w: link of session %d and semaphore %d: one of the two is missing", ErrDamaged,
			stored.session, stored.semaphore)
	case l.links[linkKey{s.id, sem.id}] != nil:
		return fmt.Errorf("%w: link of session %d and semaphore %d: duplicate", ErrDamaged, s.id, sem.id)
	case stored.count > sem.limit:
		return fmt.Errorf("%w: link of session %d and semaphore %d: count is above the limit", ErrDamaged, s.id, sem.id)
	}
	link := l.newLink(s, sem, stored.orderID)
	link.count, link.timeoutMillis = stored.count, stored.timeoutMillis
	l.setData(link, stored.data)
	link.age.since, link.loaded = stored.since, true
	l.waits.push(&link.age, l.now) // by order id, so the oldest is first; resume moves the owners

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
