package node

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"tenure/internal/clock"
)

// Load builds a node from its records, in any order. Every session is detached since the instant lost, the last at
// which one can have been attached, and gets its timeout and the grace of the config from then on; timeouts of waiters
// start anew at lost (A13). Who owns is derived (Q10). What is overdue happens in the first Apply.
//
// Records that no node can have written together give an error that wraps ErrDamaged; an error among the records is
// returned as it is. Load keeps none of the slices.
func Load(lost clock.Instant, cfg Config, records iter.Seq2[Record, error]) (*Node, error) {
	l := loader{Node: New(), byID: make(map[uint64]*semaphore)}
	l.now = lost
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

// loader is a node of which not all records are there yet.
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
		return fmt.Errorf("%w %x: value out of range, or twice", ErrDamaged, r.Key)
	}

	return nil
}

// splitKey returns the kind of a key and the ids in it; none of those is zero.
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
	twice := l.sessions[id] != nil
	l.sessions[id] = s

	return !twice && s.timeoutMillis <= maxSessionTimeout && len(s.description) <= maxDescriptionSize &&
		len(s.key) <= maxKeySize
}

func (l *loader) addSemaphore(id uint64, d *decoder) bool {
	s := &semaphore{id: id, name: d.string(), limit: d.uint()}
	ephemeral := d.uint()
	s.ephemeral, s.data = ephemeral == 1, d.bytes()
	twice := l.byID[id] != nil || l.semaphores[s.name] != nil
	l.byID[id], l.semaphores[s.name] = s, s

	return !twice && len(s.name) <= maxNameSize && s.limit > 0 && ephemeral <= 1 &&
		(!s.ephemeral || s.limit == maxSemaphoreLimit) && len(s.data) <= maxDataSize
}

func (l *loader) addLink(session, semaphore uint64, d *decoder) bool {
	s := storedLink{session, semaphore, d.uint(), d.uint(), d.uint(), d.bytes()}
	l.stored = append(l.stored, s)

	return s.orderID > 0 && s.count > 0 && len(s.data) <= maxDataSize &&
		(s.timeoutMillis <= maxAcquireTimeout || s.timeoutMillis == Forever)
}

// finish puts together what the records say: links join their queues by order id and are granted while they fit.
func (l *loader) finish(cfg Config) error {
	slices.SortFunc(l.stored, func(a, b storedLink) int { return cmp.Compare(a.orderID, b.orderID) })
	for i, s := range l.stored {
		if i > 0 && s.orderID == l.stored[i-1].orderID {
			return fmt.Errorf("%w: order id %d twice", ErrDamaged, s.orderID)
		}
		if err := l.link(s); err != nil {
			return err
		}
	}
	if n := len(l.stored); n > 0 && l.stored[n-1].orderID > l.last.order {
		return fmt.Errorf("%w: order id %d above its counter", ErrDamaged, l.stored[n-1].orderID)
	}
	for id, s := range l.byID {
		if id > l.last.semaphore {
			return fmt.Errorf("%w: semaphore id %d above its counter", ErrDamaged, id)
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
			return fmt.Errorf("%w: session id %d above its counter", ErrDamaged, id)
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
		return fmt.Errorf("%w: link of session %d and semaphore %d, one of which is missing", ErrDamaged,
			stored.session, stored.semaphore)
	case l.links[linkKey{s.id, sem.id}] != nil:
		return fmt.Errorf("%w: link of session %d and semaphore %d twice", ErrDamaged, s.id, sem.id)
	case stored.count > sem.limit:
		return fmt.Errorf("%w: link of session %d and semaphore %d above the limit", ErrDamaged, s.id, sem.id)
	}
	link := l.newLink(s, sem, stored.orderID)
	link.count, link.timeoutMillis, link.data = stored.count, stored.timeoutMillis, stored.data

	return nil
}

// resume grants who owned (Q10) and starts the timers of who waited.
func (l *loader) resume(s *semaphore) error {
	for s.queue.promote(s.limit) != nil {
	}
	for w := s.queue.waiting; w != nil; w = w.behind {
		if w.timeoutMillis == 0 {
			return fmt.Errorf("%w: order id %d waits with timeout 0", ErrDamaged, w.orderID)
		}
		l.startTimer(w)
	}

	return nil
}
