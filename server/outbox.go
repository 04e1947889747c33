package server

import (
	"sync"

	"tenure/internal/node"
)

// maxQueued bounds what waits for a reader, in bytes as size estimates them: whoever has more to read than that gets
// nothing added. The last message may be of any size, since a description has no limit (D3).
const maxQueued = 4 << 20

// outbox is a stream's bounded queue of messages: many put, one goroutine takes.
type outbox struct {
	// wake has capacity 1 and carries a value when there may be something to take, or after close; nobody closes it.
	wake chan struct{}

	mu     sync.Mutex // guards the rest
	queue  []any
	bytes  int
	closed bool
}

func newOutbox() outbox { return outbox{wake: make(chan struct{}, 1)} }

// put queues a message and never blocks. It reports false if the queue is full: the reader is too slow, its stream is
// to be cut. After close it does nothing.
func (o *outbox) put(m any) bool {
	o.mu.Lock()
	defer o.mu.Unlock()

	if o.closed {
		return true
	}
	if o.bytes > maxQueued {
		return false
	}
	o.queue = append(o.queue, m)
	o.bytes += size(m)
	o.signal()

	return true
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take moves what is queued into the given slice, whose contents are dropped. It reports false after close.
func (o *outbox) take(into []any) ([]any, bool) {
	clear(into)

	o.mu.Lock()
	defer o.mu.Unlock()

	taken := o.queue
	o.queue, o.bytes = into[:0], 0

	return taken, !o.closed
}

// close drops what is queued and what will be put. Twice is fine.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()

	o.queue, o.bytes, o.closed = nil, 0, true
	o.signal()
}

// size is about how many bytes a message takes while it is queued.
func size(m any) int {
	const small, holder = 64, 64
	d, ok := m.(node.Described)
	if !ok || d.Semaphore == nil {
		return small
	}
	n := small + len(d.Semaphore.Name) + len(d.Semaphore.Data)
	for _, hs := range [][]node.Holder{d.Semaphore.Owners, d.Semaphore.Waiters} {
		for _, h := range hs {
			n += holder + len(h.Data)
		}
	}

	return n
}
