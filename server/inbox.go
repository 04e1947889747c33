package server

import (
	"math"
	"sync"
	"sync/atomic"

	"tenure/internal/node"
)

// The bounds of what waits for owners, in bytes as estimated by cost.
const (
	maxInboxBytes    = 24 << 20 // of the requests that one owner has not answered
	maxInFlightBytes = 48 << 20 // of the requests that all owners together have not answered

	// assured is what each stream may have in an inbox, however full that is. It is enough for the few requests of an
	// honest client: a renewal, a release, or an acquire of some tasks.
	assured = 16 << 10

	// quantum is what one stream may add to a batch before it is the turn of the next stream.
	quantum = 64 << 10

	// grantSize is the unit in which inboxes take their share of the bytes of the server.
	grantSize = 256 << 10
)

// inFlight counts the bytes that the inboxes of a server hold together. Its zero value is ready for use.
type inFlight struct{ bytes atomic.Int64 }

// inbox holds the requests that an owner has not taken yet. It never makes a stream wait, because the pongs of a client
// would wait behind its requests. Instead it refuses a request if too many bytes are in it.
//
// Each stream has a queue of its own, and the owner takes from the queues in turn, so a stream with many requests
// delays those of other streams by one turn only. A stream may use as much as is left over, like each port of a switch
// with dynamic thresholds. So a single stream gets half of the inbox, and n greedy ones leave 1/(n+1) of it free for
// others.
type inbox struct {
	ready chan struct{} // capacity 1; has a value if the inbox may have requests; never closed
	all   *inFlight

	mu          sync.Mutex // guards the rest, and the senders
	closed      bool
	own         []input // of the server itself
	first, last *sender // those that have requests, in the order of their turns
	waiting     int     // bytes of the requests of streams that the owner has not taken
	taken       int     // bytes of those that it has taken but not answered
	granted     int     // the part of inFlight that this inbox has taken, plus one grant that it need not take
	free        *entry  // for new requests
	kept        int     // length of free
}

// sender is the queue of one stream. The zero value is an empty queue.
type sender struct {
	first, last *entry
	waiting     int // bytes
	credit      int // bytes that may still be taken in this turn
	next        *sender
}

// entry is an element of a queue.
type entry struct {
	input

	cost int
	next *entry
}

// verdict says what an inbox does with a request.
type verdict uint8

const (
	accepted verdict = iota
	full             // the inbox cannot take it
	ended            // the owner has ended
)

func newInbox(all *inFlight) *inbox {
	return &inbox{ready: make(chan struct{}, 1), all: all, granted: grantSize}
}

// put adds a request of a stream. It never blocks. It refuses no Attach, Detach or Stop: there are at most three of
// these for each stream, and without them a session could neither begin nor end.
func (b *inbox) put(s *sender, in input) verdict {
	size := cost(in.req)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ended
	}
	if !b.admit(s, size) && !vital(in.req) {
		return full
	}

	e := b.free
	if e == nil {
		e = new(entry)
	} else {
		b.free, e.next = e.next, nil
		b.kept--
	}
	e.input, e.cost = in, size
	b.waiting += size
	s.waiting += size
	if s.first == nil {
		s.first = e
		b.queue(s)
	} else {
		s.last.next = e
	}
	s.last = e
	b.wake()

	return accepted
}

// putOwn adds a request of the server itself. It never blocks, and refuses nothing. It does nothing if the owner has
// ended.
func (b *inbox) putOwn(in input) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.own = append(b.own, in)
		b.wake()
	}
}

// length returns the number of streams whose requests wait.
func (b *inbox) length() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.own)
	for s := b.first; s != nil; s = s.next {
		n++
	}

	return n
}

func (b *inbox) wake() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// admit reports whether the stream may add a request, and takes what the request needs from inFlight. The caller must
// hold b.mu.
func (b *inbox) admit(s *sender, size int) bool {
	held, wanted := b.waiting+b.taken, s.waiting+size
	fits := wanted <= maxInboxBytes-held
	for held+size > b.granted {
		if fits && b.granted > int(maxInFlightBytes-b.all.bytes.Load()) {
			fits = false
		}
		if !fits && wanted > assured {
			return false
		}
		b.grant(grantSize)
	}

	return fits || wanted <= assured
}

func (b *inbox) grant(size int) {
	b.granted += size
	b.all.bytes.Add(int64(size))
}

// queue gives the stream the last turn. The caller must hold b.mu.
func (b *inbox) queue(s *sender) {
	s.next = nil
	if b.first == nil {
		b.first = s
	} else {
		b.last.next = s
	}
	b.last = s
}

// take appends requests to the chunk: those of the server itself, and those of streams of about the given number of
// bytes. A request that is larger than that is a chunk of its own. It leaves none behind only if an expiry is among
// them, because that applies to all that have arrived before.
func (b *inbox) take(chunk []input, room int) []input {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, before := false, len(chunk)
	for _, in := range b.own {
		all = all || in.expiry != nil
	}
	if all {
		room = math.MaxInt
	}
	for b.first != nil && room > 0 {
		s := b.first
		if s.credit <= 0 {
			s.credit += quantum
		}
		for s.first != nil && s.credit > 0 && room > 0 {
			e := s.first
			if e.cost > chunkBytes && len(chunk) > before && !all {
				room = 0

				break
			}
			chunk = append(chunk, e.input)
			s.first = e.next
			s.waiting -= e.cost
			s.credit -= e.cost
			b.waiting -= e.cost
			b.taken += e.cost
			room -= e.cost
			b.recycle(e)
		}
		if s.first != nil && s.credit > 0 {
			break // there is no room for the rest of its turn
		}
		b.first = s.next
		if s.first != nil {
			b.queue(s)
		} else {
			s.next, s.last, s.credit = nil, nil, 0
		}
	}
	if b.first != nil {
		b.wake() // for the rest
	} else {
		select {
		case <-b.ready:
		default:
		}
	}
	chunk = append(chunk, b.own...)
	clear(b.own)
	b.own = b.own[:0]

	return chunk
}

// maxKept bounds the entries that an inbox keeps for new requests.
const maxKept = 1_024

func (b *inbox) recycle(e *entry) {
	if b.kept == maxKept {
		return
	}
	*e = entry{next: b.free}
	b.free = e
	b.kept++
}

// debit makes a stream pay for an answer that took more work than its request suggests. The stream misses turns for it.
func (b *inbox) debit(s *sender, bytes int) {
	const most = 64 * quantum
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.first != nil {
		s.credit = max(s.credit-bytes, -most)
	}
}

// answered forgets the bytes of the requests that the owner has taken.
func (b *inbox) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken = 0
	if surplus := (b.granted - b.waiting - grantSize) / grantSize * grantSize; surplus > grantSize {
		b.grant(-min(surplus, b.granted-grantSize))
	}
}

// close drops all requests, and those that arrive later. Calling it again is a no-op.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closeLocked()
}

func (b *inbox) closeLocked() {
	b.grant(grantSize - b.granted)
	b.closed, b.own, b.first, b.last, b.free = true, nil, nil, nil, nil
	b.waiting, b.taken = 0, 0
}

// vital reports whether a request must not be refused.
func vital(r node.Request) bool {
	switch r.(type) {
	case node.Attach, node.Detach, node.Stop:
		return true
	default:
		return false
	}
}

// cost estimates the bytes that a request takes while it waits.
func cost(r node.Request) int {
	const fixed = 256
	switch r := r.(type) {
	case node.Acquire:
		return fixed + len(r.Semaphore) + len(r.Data)
	case node.Release:
		return fixed + len(r.Semaphore)
	case node.Describe:
		return fixed + len(r.Semaphore)
	case node.Create:
		return fixed + len(r.Semaphore) + len(r.Data)
	case node.Update:
		return fixed + len(r.Semaphore) + len(r.Data)
	case node.Delete:
		return fixed + len(r.Semaphore)
	case node.Attach:
		return fixed + len(r.Description) + len(r.ProtectionKey)
	default:
		return fixed
	}
}
