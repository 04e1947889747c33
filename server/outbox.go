package server

import (
	"sync"

	"tenure/internal/node"
	"tenure/internal/wire"
)

// maxQueued bounds the messages that wait for a slow reader, in bytes as estimated by size. No message is added to a
// queue above the bound. The last message may have any size, since descriptions are not limited (D3).
const maxQueued = 4 << 20

// outbox is a stream's bounded queue of messages. Several goroutines put messages, and one at a time, the writer, sends
// them. Usually the writer is a goroutine that has one message, and only until it has sent that. A writer that may have
// to wait for the client is a goroutine of its own, which ends when the queue is empty.
type outbox struct {
	mu      sync.Mutex // guards the rest
	queue   []any
	taken   []any // what the writer is sending
	bytes   int
	writing bool // there is a writer
	closed  bool
}

// put queues a message and never blocks. It returns false if the queue is full, which means that the reader is too slow
// and its stream must be cut. If there is no writer, put calls start, which must start one without waiting for
// anything. After close it does nothing.
func (o *outbox) put(m any, start func()) bool {
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
	if !o.writing {
		o.writing = true
		start()
	}

	return true
}

// enter makes the caller the writer if there is none. Then no messages are queued. The caller may send one message, and
// must then call leave.
func (o *outbox) enter() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writing || o.closed {
		return false
	}
	o.writing = true

	return true
}

// leave ends what enter has begun. If others have put messages meanwhile, it calls start, which must start a writer.
func (o *outbox) leave(start func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) > 0 {
		start()
	} else {
		o.writing = false
	}
}

// take returns the queued messages for the writer, which must have finished with the previous ones. When it returns
// nothing, the caller is no longer the writer.
func (o *outbox) take() []any {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.taken)
	o.queue, o.taken, o.bytes = o.taken[:0], o.queue, 0
	o.writing = len(o.taken) > 0

	return o.taken
}

// shrink gives back the memory of an empty queue. The next message needs a little longer to be queued.
func (o *outbox) shrink() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.writing && len(o.queue) == 0 {
		o.queue, o.taken = nil, nil
	}
}

// close drops all messages, queued or put later. Calling it again is a no-op.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()

	drop(o.queue)
	o.queue, o.bytes, o.closed = nil, 0, true
}

// drop gives back the memory of messages that are not sent.
func drop(messages []any) {
	for _, m := range messages {
		if a, ok := m.(*wire.Answer); ok {
			a.Receipt.Sent()
		}
	}
}

// size estimates the bytes that a message takes while it is queued.
func size(m any) int {
	const small, holder = 64, 64
	if a, ok := m.(*wire.Answer); ok {
		return a.Size
	}
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
