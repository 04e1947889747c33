package server

import (
	"sync"

	"tenure/internal/node"
)

// maxQueued bounds the messages that wait for a slow reader, in bytes as estimated by size. No message is added to a
// queue above the bound. The last message may have any size, since descriptions are not limited (D3).
const maxQueued = 4 << 20

// outbox is a stream's bounded queue of messages. Several goroutines put messages, and one takes them.
type outbox struct {
	// wake has capacity 1 and carries a value when there may be something to take, or after close. It is never closed.
	wake chan struct{}

	mu     sync.Mutex // guards the rest
	queue  []any
	bytes  int
	closed bool
}

func newOutbox() outbox { return outbox{wake: make(chan struct{}, 1)} }

// put queues a message and never blocks. It returns false if the queue is full, which means that the reader is too slow
// and its stream must be cut. After close it does nothing.
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

// take returns the queued messages. It reuses the given slice, whose contents it drops. It returns false after close.
func (o *outbox) take(into []any) ([]any, bool) {
	clear(into)

	o.mu.Lock()
	defer o.mu.Unlock()

	taken := o.queue
	o.queue, o.bytes = into[:0], 0

	return taken, !o.closed
}

// close drops all messages, queued or put later. Calling it again is a no-op.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()

	o.queue, o.bytes, o.closed = nil, 0, true
	o.signal()
}

// size estimates the bytes that a message takes while it is queued.
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
